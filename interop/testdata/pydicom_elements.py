"""Prints what pydicom reads of the files named on standard input: for each a line of JSON,
{"file", "error", "elements": [[path, VR, length, sha256 of the value], ...]}.

Values are as encoded. Sequences have their items' elements instead of a value; a VR is empty
where none is encoded. UN and private elements of defined length are values, whatever pydicom's
dictionaries would make of them."""
import hashlib
import json
import sys
import warnings

import pydicom
from pydicom.dataelem import DataElement_from_raw, RawDataElement

warnings.simplefilter("ignore")


def tag_path(tag):
    return "(%04X,%04X)" % (tag.group, tag.element)


def encoded_vr(vr):
    return "" if vr is None or " or " in vr else vr


def walk(dataset, prefix, out):
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        path = prefix + tag_path(tag)
        if isinstance(raw, RawDataElement):
            opaque = raw.length != 0xFFFFFFFF and (raw.VR == "UN" or raw.VR is None and tag.is_private)
            element = None if opaque else DataElement_from_raw(raw)
            if element is None or element.VR != "SQ":
                value = raw.value or b""
                out.append([path, encoded_vr(raw.VR), raw.length, hashlib.sha256(value).hexdigest()])
                continue
            out.append([path, raw.VR or "", raw.length, ""])
        else:
            element = raw
            if element.VR != "SQ":
                out.append([path, encoded_vr(element.VR), -1, ""])
                continue
            out.append([path, "", 0xFFFFFFFF if element.is_undefined_length else -1, ""])
        for i, item in enumerate(element.value or []):
            walk(item, "%s[%d]." % (path, i), out)


for line in sys.stdin:
    name = line.rstrip("\n")
    result = {"file": name, "error": "", "elements": []}
    try:
        dataset = pydicom.dcmread(name, force=name.endswith(".dcm"))
        walk(dataset.file_meta, "", result["elements"])
        walk(dataset, "", result["elements"])
    except Exception as e:
        result["error"] = type(e).__name__ + ": " + str(e)
    print(json.dumps(result), flush=True)
