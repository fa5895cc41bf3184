"""Cuts the demo company's year of shopping out of the Complete Journey data set: demo/cut.py SOURCE

SOURCE is a folder with mini/, shared/products.csv.gz and mini_expected.json. Written to demo/data/: the files of mini as they are, and of the
products only those that were bought. The same source gives the same bytes.
"""

import csv
import gzip
import io
import shutil
import sys
from pathlib import Path

MINI = ("transactions.csv.gz", "demographics.csv.gz", "campaigns.csv.gz", "coupon_redemptions.csv.gz")


def cut(source: Path, target: Path) -> None:
    for name in MINI:
        shutil.copyfile(source / "mini" / name, target / name)
    shutil.copyfile(source / "mini_expected.json", target / "expected.json")

    with gzip.open(source / "mini" / "transactions.csv.gz", "rt", newline="") as file:
        bought = {row["product_id"] for row in csv.DictReader(file)}
    text = io.StringIO()
    with gzip.open(source / "shared" / "products.csv.gz", "rt", newline="") as file:
        reader = csv.DictReader(file)
        writer = csv.DictWriter(text, reader.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in reader if row["product_id"] in bought)
    with open(target / "products.csv.gz", "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        packed.write(text.getvalue().encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cut(Path(sys.argv[1]), Path(__file__).parent / "data")
