"""The shelf: tools ready to use, one family a file, each a client of the frame.

    from outrider_tools.calculator import calculator    exact arithmetic
    from outrider_tools.clock import clock              the time now, and counting days
    from outrider_tools.files import file_tools         reading files under one folder
    from outrider_tools.search import web_search        searching the web
    from outrider_tools.http_json import http_json      reading JSON from a web address

``_plain`` is what several of them need. The frame never imports this package: what the shelf offers by name is listed
in the entry points of the group ``outrider.tools``, where any other distribution can offer more.
"""
