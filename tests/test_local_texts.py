"""What is read out of a text before the embedded model is asked."""

from typing import Any

import pytest

from outrider.local import constrain, steps, texts
from outrider.local.asked import Asked, Done
from outrider.local.sums import sums

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Hi Ann, pls pay Brook & Sons.", "Brook & Sons"),
        ("Sent by Kiosk S.p.A. on 4 May.", "Kiosk S.p.A."),
        ("It came from Brook & Sons (invoice KL-7).", "KL-7"),
        ("It came from Brook & Sons (invoice KL-7).", "Brook & Sons"),
        ("Is “New Delhi” warm?", "New Delhi"),
    ],
)
def test_phrases_are_offered_without_what_surrounds_them(text: str, phrase: str) -> None:
    assert phrase in texts.phrases(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bill 88-213 for $342.10, 20% off", [342.1, 20]),
        ("1,250.00 EUR by 30 June (51)", [1250, 51]),
        ("23*19+7", [23, 19, 7]),
        ("-3.5", [-3.5]),
        ("14 lamps, 8 April 2024", [14]),
        ("1.126,75 EUR and 238,40", [1126.75, 238.4]),
        ("none", []),
    ],
)
def test_numbers_are_those_that_stand_alone(text: str, expected: list[float]) -> None:
    assert texts.numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please calculate (17 - 5) * (2 + 1).", ["(17 - 5) * (2 + 1)"]),
        ("divide 100 by 8", ["100 / 8"]),
        ("15% of 80?", ["15 / 100 * 80"]),
        ("£34.99 + £12.50", ["34.99 + 12.50"]),
        ("1,250 times 3", ["1250 * 3"]),
        ("take 12 away from 40", ["40 - 12"]),
        ("3 boxes at 12.50 each", ["3 * 12.50"]),
        ("Had 85 litres, burned 37.4, what is left?", ["85 - 37.4"]),
        ("23 eggs and 19 eggs", ["23 + 19", "23 - 19", "23 * 19", "23 / 19", "19 / 23"]),
        ("room 7", []),
    ],
)
def test_sums_are_read_out_of_plain_words(text: str, expected: list[str]) -> None:
    assert sums(text) == expected


@pytest.mark.parametrize(
    ("text", "amounts", "currencies"),
    [
        ("VAT 62.00, due GBP 372.00 by 14 May", [372], ["GBP"]),
        ("€ 238,40", [238.4], ["EUR"]),
        ("A$20 for 3", [20], ["AUD"]),
        ("6 780 NOK", [6780], ["NOK"]),
        ("Rs. 54,080.00 and R 3 450,00", [54080, 3450], ["INR"]),
        ("9/30/22\n$180 or so", [180], ["USD"]),
        ("Delivery: 85,00 €\nTotal excl. tax: 90,00 €\nVAT: 18,00 €\nTotal incl. tax: 1 108,00 €", [1108], ["EUR"]),
        ("R4,200 for room A 5, with 60 kr back", [4200, 60], []),
        ("20 lamps", [], []),
        ("75 quid off Al's", [75], ["GBP"]),
        ("3,080 euro", [3080], ["EUR"]),
        ("US$410 and R$ 890,00", [410, 890], ["USD", "BRL"]),
        ("4 500 Kč", [4500], ["CZK"]),
        ("Subtotal $310.00 tax $24.80 total $334.80", [334.8], ["USD"]),
        ("2 trips, £180 each, £360 in total", [360], ["GBP"]),
        ("Yen Ltd in Eurotown", [], []),
    ],
)
def test_amounts_stand_beside_their_currency(text: str, amounts: list[float], currencies: list[str]) -> None:
    assert texts.amounts(text) == amounts
    assert texts.currencies(text) == currencies


@pytest.mark.parametrize(
    ("text", "issued", "due"),
    [
        ("Invoice date: 4 April 2024, tuning on 2 April", ["4 April 2024"], ["4 April 2024"]),
        ("Issued 02/11/2023 | Due 03/11/2023", ["02/11/2023"], ["03/11/2023"]),
        ("Pay by: 15 July 2024\nIssued on: 15 June 2024", ["15 June 2024"], ["15 July 2024"]),
        ("2024-02-29 | A19-0042 | 3,475.00 CZK", ["2024-02-29"], ["2024-02-29"]),
        ("October 9th, 2023. Due in two weeks", ["October 9th, 2023"], ["October 9th, 2023"]),
        ("inv 562   8/7/24, 2 @ 65 = 130", ["8/7/24"], ["8/7/24"]),
        ("Issue date: 2024-09-12 Sale date: 2024-09-10", ["2024-09-12"], ["2024-09-10"]),
        ("dated 19-Aug-2022", ["19-Aug-2022"], ["19-Aug-2022"]),
        ("due on 4 May, Rita", ["4 May"], ["4 May"]),
        ("1,250.00 EUR, 12.50 each, 24-0615-3, ring 555-10-20", [], []),
    ],
)
def test_dates_are_copied_as_they_are_written_and_told_apart(text: str, issued: list[str], due: list[str]) -> None:
    assert texts.dates(text) == issued
    assert texts.dates(text, due=True) == due


@pytest.mark.parametrize(
    ("text", "vendors"),
    [
        ("Bill 7 by Harbour Ropes, 40 EUR. Next delivery on Monday. Greetings from Ann", ["Harbour Ropes"]),
        ("Invoice 7, Vendor Casa Blanca Paints, sum 540.00 EUR", ["Casa Blanca Paints"]),
        ("Faktura 12, Zielony Las sp. z o.o., 1450.00 PLN", ["Zielony Las sp. z o.o."]),
        ("Trattoria Luna S.r.l. Total €244.00, invoice 118", ["Trattoria Luna S.r.l."]),
        ("Subject: invoice 5, Lime Works, 30 EUR", ["Lime Works"]),
        ("J. Peterson Piano Tuning, bill 301, $95", ["J. Peterson Piano Tuning"]),
        ("Bloggs Bros. Haulage, invoice BB7731, £360", ["Bloggs Bros. Haulage"]),
        ("Vodafone: invoice 5, 30 EUR", ["Vodafone"]),
        ("bill from bright spark, 3 EUR", ["bright", "bright spark"]),
        ("Bill to: Elm School\nFrom: Crayon Supplies LLC\nPaint 7.00", ["Crayon Supplies LLC"]),
        ("Sakura Office Co., Ltd.\nInvoice 7\nTax 4.80", ["Sakura Office Co., Ltd."]),
        ("Ann Weber\nInvoice 4\nTo: Brightside Media GmbH\n3.00", ["Ann Weber"]),
        ("Statement from Dr. Helen Marsh, invoice 5, 3.00", ["Dr. Helen Marsh"]),
        ("From: Lars Berg <lars@berg.se>\nInvoice 5\n9 kr\nBerg Snickeri AB", ["Berg Snickeri AB"]),
        ("Invoice 5, 9.00\nBest regards\nIda Moss\nMoss Cards", ["Moss Cards"]),
        ('his slip: "E. Moss Tuning, inv 4, 3.00"', ["E. Moss Tuning"]),
        ("Lawn n Garden\nno. 7\n3.00", ["Lawn n Garden"]),
        ("North Energy plc | Statement\nUsage 312 kWh", ["North Energy plc"]),
    ],
)
def test_a_vendor_is_a_name_where_a_seller_is_named(text: str, vendors: list[str]) -> None:
    form = {"type": "object", "properties": {"vendor": TEXT, "total": NUMBER}}
    found = constrain.narrow(form, constrain.source(Asked(text, (), 0, (), None)))["properties"]
    assert found["vendor"] == {"enum": vendors}


@pytest.mark.parametrize(
    ("text", "number", "total"),
    [
        ("Invoice # : S-1029\nPO Number : 77810\nTotal 3.00 EUR", ["S-1029"], [3]),
        ("Repair order 22981\nInvoice 22981-A\n$682.72", ["22981-A"], [682.72]),
        ("Ferro SRL\nP.IVA 02481930377\nInvoice n. 145/2024\nEUR 2.300,00", ["145/2024"], [2300]),
        ("Invoice ID        in_7QX29\nPlan         Team, 12 seats\nTotal   USD 144.00", ["in_7QX29"], [144]),
        ("receipt 901: 2 wreaths, 92.50", ["901"], [2, 92.5]),
        ("pay al 275, his invoice is 3391 of 6/1/2024", ["3391"], [275]),
    ],
)
def test_numbers_of_invoices_and_totals_are_told_apart(text: str, number: list[str], total: list[float]) -> None:
    form = {"type": "object", "properties": {"number": TEXT, "total": NUMBER}}
    found = constrain.narrow(form, constrain.source(Asked(text, (), 0, (), None)))["properties"]
    assert found == {"number": {"enum": number}, "total": {"enum": total}}


def test_phrases_are_clean_and_bounded() -> None:
    found = texts.phrases("one (two three), four! " * 300)
    assert 0 < len(found) <= texts.MOST_PHRASES
    assert all(span == span.strip(" ,!()") for span in found)


def test_a_schema_keeps_its_types_and_is_bound_to_the_texts() -> None:
    asked = Asked(
        "Convert 5 USD to EUR for Ann.",
        (Done("rate", '{"from": "USD"}', "4.61"),),
        1,
        (),
        None,
    )
    fields = dict[str, Any](
        amount=NUMBER,
        pieces={"type": "integer"},
        to={"type": "string", "enum": ["EUR", "CHF"]},
        mood={"type": "string", "enum": ["good", "bad"]},
        names={"type": "array", "items": TEXT},
        day={"type": "string", "format": "date"},
        **{"from": TEXT},
    )
    fields = constrain.narrow({"type": "object", "properties": fields}, constrain.source(asked))["properties"]
    assert fields["amount"] == {"enum": [4.61]}
    assert fields["pieces"] == {"type": "integer"}
    assert fields["to"]["enum"] == ["EUR"]
    assert fields["mood"]["enum"] == ["good", "bad"]
    assert "Ann" in fields["names"]["items"]["enum"]
    assert fields["day"] == {"type": "string", "format": "date"}
    assert fields["from"] == {"enum": ["USD"]}


def test_a_number_of_which_the_texts_say_nothing_is_the_default() -> None:
    fields = {"line": {"type": "integer", "default": 1}, "pieces": {"type": "integer"}}
    asked = Asked("Read notes.txt.", (), 0, (), None)
    narrowed = constrain.narrow({"type": "object", "properties": fields}, constrain.source(asked))["properties"]
    assert narrowed == {"line": {"enum": [1]}, "pieces": {"type": "integer"}}


def test_a_label_is_judged_by_what_a_tool_brought() -> None:
    form = {"type": "object", "properties": {"mood": {"enum": ["positive", "negative"]}}}
    found = steps.answer(Asked("Read a.txt.", (Done("read_file", "{}", "Cold soup,\nbroken door."),), 1, (), form))
    assert isinstance(found, steps.Form)
    assert found.told == "Cold soup, broken door."
    alone = steps.answer(Asked("Cold soup.", (), 0, (), form))
    assert isinstance(alone, steps.Form)
    assert alone.told == "Cold soup."
