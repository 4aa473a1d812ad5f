"""The shelf: tools ready to use, one family a file, each a client of the frame.

    from outrider_tools.calculator import calculator    exact arithmetic
    from outrider_tools.files import file_tools         reading files under one folder

The frame never imports this package: what the shelf offers by name is listed in the entry points of the group
``outrider.tools``, where any other distribution can offer more.
"""
