"""e-Fatura documents against the revenue administration's own schema and schematron (efatura-kontrol).

usage: einvoice.py FOLDER      one line a finding that is an error or a warning; exit code 1 when there is any
"""

import sys
from pathlib import Path

from efatura_kontrol.kontrol import kontrol_et

files = sorted(Path(sys.argv[1]).glob("*.xml"))
wrong = 0
for file in files:
    result = kontrol_et(file.read_bytes())
    for finding in result.bulgular:
        if finding.seviye != "bilgi":
            wrong += 1
            print(f"{file.name}: {finding.seviye} {finding.kod} {finding.mesaj} {finding.konum or ''} {finding.deger or ''}"[:500])
    if not result.gecerli and not result.bulgular:
        wrong += 1
        print(f"{file.name}: refused without a finding")
print(f"{len(files)} documents checked")
sys.exit(1 if wrong or not files else 0)
