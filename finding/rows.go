package finding

// What happens by default, by severity. Policy may say otherwise for suspicious content.
const (
	admitted = "Admitted and delivered; the finding is recorded with the object."
	unread   = "Held as an object that cannot be read to its end (policy unparseable)."
	held     = "Held in the vault. The sender is answered success, so that the rest of the study goes on."
)

// What a person does about it, where several kinds ask for the same.
const (
	contain = "Treat the sending device as infected: contain it, keep the held object as evidence, and look for the same payload in its other studies. Release only with two people, after an engine and the vendor have cleared it."
	askWho  = "Ask the device's vendor what writes it. When the object is needed at once, one named person may release it in an emergency; two otherwise."
	reread  = "Look at how the object reached us: a broken transfer or a full disk explains most. Ask the sender for it again. When its reader needs it as it is, release it."
	bounded = "No known device writes such an object. Find out who sent it, and look for others."
	none    = "Nothing. Tell the vendor when the device writes it regularly."
)

// catalogue is the one table of findings. Order: payloads, attacks on readers, oddities.
var catalogue = []Kind{
	{
		ID: "eicar", Severity: Malicious, Title: "EICAR test string",
		Meaning: "The harmless 68-byte string with which anti-virus is tested. Somebody is testing this line of defence, or a test file has been sent by mistake.",
		Default: held, Action: "If no drill is under way, find out who sent it.",
		References: []string{"EICAR anti-malware test file"},
	},
	{
		ID: "hash-listed", Severity: Malicious, Title: "Content on the hash list",
		Meaning: "The SHA-256 digest of the object, or of a piece carved from it, is on the list of known harmful content.",
		Default: held, Action: contain,
	},
	{
		ID: "preamble-executable", Severity: Malicious, Title: "Executable in the preamble",
		Meaning: "The 128 bytes before DICM begin a program whose header is valid (PE, ELF, Mach-O, DOS, class file). The same file opens as an image and runs as a program.",
		Default: held, Action: contain,
		References: []string{"CVE-2019-11687", "PS3.10 §7.5"},
	},
	{
		ID: "preamble-script", Severity: Malicious, Title: "Script in the preamble",
		Meaning: "The preamble begins a script (an interpreter line or script markup). The same file opens as an image and runs as a script.",
		Default: held, Action: contain,
		References: []string{"CVE-2019-11687", "PS3.10 §7.5"},
	},
	{
		ID: "executable", Severity: Malicious, Title: "Executable content",
		Meaning: "A program whose header fields are valid (PE, ELF, Mach-O, DOS, class file) inside a value, a fragment, padding, bytes after the image or after the data set; or the file itself is one. No part of a DICOM object has a use for it, and medical media are not the place for plain programs.",
		Default: held, Action: contain,
		References: []string{"CVE-2019-11687", "PS3.10 §7.5", "PS3.17 YYYY.6.2"},
	},
	{
		ID: "shortcut", Severity: Malicious, Title: "Windows shortcut",
		Meaning: "A shell link (LNK) header: opening it runs a command. Worms travel on media in this form.",
		Default: held, Action: contain,
		References: []string{"MS-SHLLINK §2.1"},
	},
	{
		ID: "script", Severity: Malicious, Title: "Script content",
		Meaning: "A value, fragment, trailer or whole file begins as a script that an operating system or browser would run.",
		Default: held, Action: contain,
		References: []string{"PS3.10 §7.5"},
	},
	{
		ID: "preamble-executable-magic", Severity: Suspicious, Title: "Executable magic number at the start of the preamble",
		Meaning: "The preamble starts with the magic number of an executable format, though no valid header follows. No known dual-purpose image format starts so.",
		Default: held, Action: askWho,
		References: []string{"CVE-2019-11687", "PS3.10 §7.5"},
	},
	{
		ID: "active-markup", Severity: Suspicious, Title: "Markup that would run in a text value",
		Meaning: "A name or text holds a script tag, an event handler or a javascript: address. Web viewers and portals that do not escape it would run it.",
		Default: held, Action: askWho,
		References: []string{"CVE-2025-54759"},
	},
	{
		ID: "path-traversal", Severity: Suspicious, Title: "Path in an identifier",
		Meaning: "A UID, AE title or referenced file id holds a path (.., /, a drive) or shell characters. Receivers that derive file names from it write outside their folder, or run a command.",
		Default: held, Action: askWho,
		References: []string{"CVE-2022-2119", "CVE-2022-2120", "CVE-2026-32711", "CVE-2026-5663"},
	},
	{
		ID: "meta-vr", Severity: Suspicious, Title: "File meta information with the wrong value representation",
		Meaning: "An element of group 0002 is not the type that the dictionary gives it, or is UN, which is not allowed there. Readers that trust it misread every length after it.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5437", "CVE-2026-3650", "PS3.10 §7.1"},
	},
	{
		ID: "geometry-vr", Severity: Suspicious, Title: "Image size with the wrong value representation",
		Meaning: "Rows, Columns, Bits Allocated or another attribute of the image's size is not the type that the dictionary gives it, such as UL for Rows. Readers that trust the header compute a buffer of the wrong size.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5442", "PS3.6"},
	},
	{
		ID: "geometry-overflow", Severity: Suspicious, Title: "Image size that overflows",
		Meaning: "Rows × columns × samples × bits × frames passes 32 bits while the pixel data that came is far smaller. Readers that multiply in 32 bits allocate too little and write past the end.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5442", "CVE-2026-5443", "CVE-2026-5444"},
	},
	{
		ID: "pixel-data-short", Severity: Suspicious, Title: "Pixel data shorter than the image's size",
		Meaning: "Native pixel data holds fewer bytes than its attributes say. Readers that trust the attributes read past the end of the buffer.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5443", "CVE-2026-5444", "PS3.5 §8.1"},
	},
	{
		ID: "codestream-size", Severity: Suspicious, Title: "Compressed image larger than its attributes",
		Meaning: "A JPEG, JPEG-LS or JPEG 2000 header says more rows, columns or samples than the data set does. Readers that allocate by the data set write past the end.",
		Default: held, Action: askWho,
		References: []string{"CVE-2024-22100", "CVE-2025-35975", "PS3.5 §8.2"},
	},
	{
		ID: "rle-header", Severity: Suspicious, Title: "RLE header out of bounds",
		Meaning: "An RLE frame's header has more than 15 segments, offsets that do not rise, or offsets past the fragment's end.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5441", "PS3.5 §G.5"},
	},
	{
		ID: "offset-table-range", Severity: Suspicious, Title: "Offset table points outside the pixel data",
		Meaning: "A Basic or Extended Offset Table entry lies past the last fragment. Readers that seek by it read foreign memory.",
		Default: held, Action: askWho,
		References: []string{"PS3.5 §A.4"},
	},
	{
		ID: "lookup-table-short", Severity: Suspicious, Title: "Palette shorter than its descriptor",
		Meaning: "A palette lookup table holds fewer entries than its descriptor says. Readers index past its end.",
		Default: held, Action: askWho,
		References: []string{"CVE-2026-5445", "PS3.3 §C.7.6.3.1.5"},
	},
	{
		ID: "overlay-short", Severity: Suspicious, Title: "Overlay shorter than its size",
		Meaning: "Overlay Data holds fewer bits than its rows × columns × frames. Readers that trust the attributes read past the end.",
		Default: held, Action: askWho,
		References: []string{"PS3.3 §C.9.2"},
	},
	{
		ID: AnnouncedMismatch, Severity: Suspicious, Title: "Another instance than announced",
		Meaning: "The command that brought the object names another SOP class or instance than its data set. An archive that trusts one and indexes the other files the image under the wrong name.",
		Default: "Refused with status C011; the sender keeps its copy.", Action: "Have the sending device's vendor explain it: the same fault will come again.",
		References: []string{"PS3.7 §9.1.1.1", "PS3.4 §B.2.3"},
	},
	{
		ID: "ambiguous-element", Severity: Suspicious, Title: "Decisive element twice, with different values",
		Meaning: "An element that says what the object is, or how large its image is, stands twice and the two differ. What one reader checks, another does not read.",
		Default: held, Action: askWho,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "depth-limit", Severity: Suspicious, Title: "Nesting too deep",
		Meaning: "Sequences lie in sequences beyond the limit (64 by default; real objects have less than 20). Readers that recurse run out of stack and crash.",
		Default: held, Action: bounded,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "element-limit", Severity: Suspicious, Title: "Too many elements",
		Meaning: "The data set has more elements than the limit. Readers that keep a tree run out of memory.",
		Default: held, Action: bounded,
	},
	{
		ID: "item-limit", Severity: Suspicious, Title: "Too many items",
		Meaning: "A sequence or Pixel Data has more items than the limit. Readers that keep a tree run out of memory.",
		Default: held, Action: bounded,
	},
	{
		ID: "value-length", Severity: Suspicious, Title: "Value too long",
		Meaning: "A value declares more bytes than the limit. Readers that allocate what is declared run out of memory.",
		Default: held, Action: bounded,
	},
	{
		ID: "item-length", Severity: Suspicious, Title: "Item or sequence too long",
		Meaning: "An item or sequence declares more bytes than the limit.",
		Default: held, Action: bounded,
	},
	{
		ID: "inflate-limit", Severity: Suspicious, Title: "Deflated data set too large",
		Meaning: "The deflated data set inflates to more bytes than the limit. Readers that inflate into memory run out of it.",
		Default: held, Action: bounded,
		References: []string{"PS3.5 §A.5"},
	},
	{
		ID: "inflate-ratio", Severity: Suspicious, Title: "Deflate bomb",
		Meaning: "The deflated data set inflates to many times its size. Readers that inflate into memory run out of it.",
		Default: held, Action: bounded,
		References: []string{"PS3.5 §A.5"},
	},
	{
		ID: "preamble-tiff", Severity: Info, Title: "TIFF header in the preamble",
		Meaning: "The preamble makes the file readable as TIFF or BigTIFF too, which whole-slide scanners do on purpose. Transcoders often leave it behind, so that its first directory no longer exists; that is harmless.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.5"},
	},
	{
		ID: "preamble-content", Severity: Info, Title: "Preamble that is not zero",
		Meaning: "The preamble holds bytes that are no known format: a vendor's name, a program's mark.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "executable-magic", Severity: Info, Title: "Executable magic number without a valid header",
		Meaning: "A carved piece starts with the magic number of an executable format, but the header that follows is not valid. Image data may do that by chance.",
		Default: admitted, Action: none,
	},
	{
		ID: "not-dicom", Severity: Info, Title: "Not a DICOM object",
		Meaning: "The file holds no DICOM data set; it was judged as a plain file.",
		Default: "By its content: a plain document is admitted as harmless, a plain program or script is held. The gateway never takes it as an object.", Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "identity-missing", Severity: Info, Title: "SOP class or instance missing",
		Meaning: "The data set does not say what it is (SOP Class UID) or which one it is (SOP Instance UID).",
		Default: admitted, Action: none,
		References: []string{"PS3.3 §C.12.1"},
	},
	{
		ID: "identity-mismatch", Severity: Info, Title: "File meta information names another object",
		Meaning: "The SOP class or instance in group 0002 is not the one in the data set: a tool changed one and not the other.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "uid-irregular", Severity: Info, Title: "Irregular UID",
		Meaning: "A UID is longer than 64 characters, has an empty component or a leading zero, or characters other than digits and dots.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §9.1"},
	},
	{
		ID: "ae-title-irregular", Severity: Info, Title: "Irregular AE title",
		Meaning: "An AE title is longer than 16 characters or holds characters outside its repertoire.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §6.2"},
	},
	{
		ID: "file-id-irregular", Severity: Info, Title: "Irregular file id",
		Meaning: "A component of Referenced File ID is longer than 8 characters or holds characters other than capitals, digits and underscore.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §8.5"},
	},
	{
		ID: "geometry-missing", Severity: Info, Title: "Pixel data without its size",
		Meaning: "Rows, Columns, Bits Allocated or Samples per Pixel is missing, or is not one number, so the pixel data's length could not be checked.",
		Default: admitted, Action: none,
		References: []string{"PS3.3 §C.7.6.3"},
	},
	{
		ID: "pixel-data-long", Severity: Info, Title: "Pixel data longer than the image's size",
		Meaning: "Native pixel data holds more bytes than its attributes say. The rest is inspected as a piece of its own.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §8.1"},
	},
	{
		ID: "lookup-table-depth", Severity: Info, Title: "Palette of another depth than its descriptor",
		Meaning: "A palette lookup table holds one byte for each entry where its descriptor says 16 bits. Some devices write it so.",
		Default: admitted, Action: none,
		References: []string{"PS3.3 §C.7.6.3.1.5"},
	},
	{
		ID: "codestream-format", Severity: Info, Title: "Compressed image of another format",
		Meaning: "The first bytes of the compressed pixel data are not those of the format that the transfer syntax names.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §8.2", "PS3.5 §A.4"},
	},
	{
		ID: "codestream-markers", Severity: Info, Title: "Broken JPEG markers",
		Meaning: "The walk over a JPEG codestream's markers met a segment length or marker that cannot be.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §8.2.1"},
	},
	{
		ID: "codestream-trailing", Severity: Info, Title: "Bytes after the end of a JPEG image",
		Meaning: "More than padding follows the end of image marker. The rest is inspected as a piece of its own.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §8.2.1"},
	},
	{
		ID: "codestream-size-differs", Severity: Info, Title: "Compressed image smaller than its attributes",
		Meaning: "The codestream's header says fewer rows, columns or samples than the data set does.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §8.2"},
	},
	{
		ID: "offset-table-order", Severity: Info, Title: "Offset table that does not fit the fragments",
		Meaning: "Entries of a Basic or Extended Offset Table do not rise, do not begin at zero, or do not point at a fragment's start.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §A.4"},
	},
	{
		ID: "encapsulation", Severity: Info, Title: "Pixel data encoded unlike its transfer syntax",
		Meaning: "Pixel data is encapsulated under a native transfer syntax, or native under an encapsulated one.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §A.4"},
	},
	{
		ID: "truncated", Severity: Info, Title: "Object ends too early",
		Meaning: "The input ends inside an element: a transfer was cut off, or a length is wrong.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "length-exceeds-rest", Severity: Info, Title: "Length beyond the end",
		Meaning: "An element declares more bytes than the whole input has left. Readers that allocate what is declared run out of memory, others read past the end.",
		Default: unread, Action: reread,
		References: []string{"CVE-2026-5437", "PS3.5 §7.1"},
	},
	{
		ID: "invalid-header", Severity: Info, Title: "No element where one must be",
		Meaning: "Bytes inside a sequence, an item or the file meta information cannot be an element's header: the structure is lost from here on, and what follows is inspected as one piece.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "unexpected-item", Severity: Info, Title: "Item outside a sequence",
		Meaning: "An item stands where an element should: the structure is lost from here on, and what follows is inspected as one piece.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "item-expected", Severity: Info, Title: "No item where one must be",
		Meaning: "A sequence or Pixel Data holds something else than items: the structure is lost from here on, and what follows is inspected as one piece.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "fragment-length", Severity: Info, Title: "Fragment of undefined length",
		Meaning: "A fragment of encapsulated Pixel Data does not say how long it is: the structure is lost from here on.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §A.4"},
	},
	{
		ID: "inflate", Severity: Info, Title: "Corrupt deflate stream",
		Meaning: "The deflated data set cannot be inflated to its end.",
		Default: unread, Action: reread,
		References: []string{"PS3.5 §A.5"},
	},
	{
		ID: "no-preamble", Severity: Info, Title: "No preamble",
		Meaning: "The file does not begin with 128 bytes and DICM. Old exports and some scanners write bare data sets.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "no-meta", Severity: Info, Title: "No file meta information",
		Meaning: "The file has no group 0002, so its transfer syntax was recognised from its content.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "meta-length", Severity: Info, Title: "Wrong length of the file meta information",
		Meaning: "The group length of group 0002 is missing or not the group's length.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "meta-in-data-set", Severity: Info, Title: "File meta information in the data set",
		Meaning: "An element of group 0002 stands in the data set, where it is not allowed.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "no-transfer-syntax", Severity: Info, Title: "No transfer syntax",
		Meaning: "The file does not name its transfer syntax; it was recognised from the content.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.1"},
	},
	{
		ID: "unknown-transfer-syntax", Severity: Info, Title: "Unknown transfer syntax",
		Meaning: "The transfer syntax is a private or newer one; the encoding was recognised from the content.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §10"},
	},
	{
		ID: "encoding-mismatch", Severity: Info, Title: "Not encoded as its transfer syntax says",
		Meaning: "The data set's encoding is not that of its transfer syntax. It was read as it is encoded; another reader may see something else.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §10"},
	},
	{
		ID: "implicit-in-explicit", Severity: Info, Title: "Element without VR",
		Meaning: "An element or item has no value representation though the transfer syntax is explicit.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "explicit-in-implicit", Severity: Info, Title: "Item with VRs",
		Meaning: "An item has explicit value representations though the transfer syntax is implicit.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "unknown-vr", Severity: Info, Title: "Unknown value representation",
		Meaning: "An element has a value representation that the standard does not know.",
		Default: admitted, Action: none,
		References: []string{"CVE-2026-3650", "PS3.5 §6.2"},
	},
	{
		ID: "reserved-bytes", Severity: Info, Title: "Reserved bytes are not zero",
		Meaning: "The two bytes after a long value representation are not zero.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1.2"},
	},
	{
		ID: "odd-length", Severity: Info, Title: "Odd length",
		Meaning: "A value has an odd number of bytes.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1.1"},
	},
	{
		ID: "undefined-length", Severity: Info, Title: "Undefined length where it is not allowed",
		Meaning: "An element that is no sequence has undefined length.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1.1"},
	},
	{
		ID: "delimiter-length", Severity: Info, Title: "Delimiter with a length",
		Meaning: "A delimitation item declares a length other than zero; it was ignored.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "missing-delimiter", Severity: Info, Title: "Missing delimiter",
		Meaning: "A sequence or item of undefined length was ended by something else than its delimiter.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "stray-delimiter", Severity: Info, Title: "Stray delimiter",
		Meaning: "A delimitation item ends nothing.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "un-sequence", Severity: Info, Title: "Sequence stored as unknown",
		Meaning: "An attribute that is a sequence is stored as UN with a length; its bytes were inspected as one value.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §6.2.2"},
	},
	{
		ID: "group-length", Severity: Info, Title: "Wrong group length",
		Meaning: "A group length is not the length of its group. Group lengths are retired outside group 0002.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.2"},
	},
	{
		ID: "tag-order", Severity: Info, Title: "Tags out of order",
		Meaning: "An element's tag is smaller than the one before it. Readers that stop early may see another object.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "duplicate-element", Severity: Info, Title: "Element twice",
		Meaning: "The same element stands twice. Readers differ in which of the two they take.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.1"},
	},
	{
		ID: "doubtful-element", Severity: Info, Title: "Doubtful last element",
		Meaning: "A root header may as well be the first bytes of something appended. Its value was inspected as a piece.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.2"},
	},
	{
		ID: "length-exceeds-parent", Severity: Info, Title: "Length beyond the enclosing item",
		Meaning: "An element or item is longer than what encloses it; the inner length was followed. Another reader may see something else.",
		Default: admitted, Action: none,
		References: []string{"PS3.5 §7.5"},
	},
	{
		ID: "trailing-bytes", Severity: Info, Title: "Bytes after the data set",
		Meaning: "Bytes follow the end of the data set. They are inspected as a piece of their own.",
		Default: admitted, Action: none,
		References: []string{"PS3.10 §7.2"},
	},
}
