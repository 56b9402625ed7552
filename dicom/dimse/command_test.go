package dimse

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"cordon/dicom"
)

// vector returns the bytes of a hexadecimal listing; "text" stands for its characters, what follows a # is a remark.
func vector(t testing.TB, listing string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(listing) {
		line, _, _ = strings.Cut(line, "#")
		for i, part := range strings.Split(strings.TrimSpace(line), `"`) {
			if i%2 == 1 {
				b = append(b, part...)
				continue
			}
			p, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, p...)
		}
	}
	return b
}

func ptr(v uint16) *uint16 { return &v }

// commandVectors are laid out by hand after PS3.7 §6.3.1, §9.3, §10.3 and §E.1.
var commandVectors = map[string]struct {
	listing string
	want    Command
}{
	"C-ECHO-RQ": {`
		0000 0000 04000000 38000000
		0000 0200 12000000 "1.2.840.10008.1.1" 00
		0000 0001 02000000 3000
		0000 1001 02000000 0700
		0000 0008 02000000 0101`,
		Command{Field: CEchoRQ, AffectedSOPClassUID: dicom.Verification, MessageID: 7},
	},
	"C-STORE-RQ of a C-MOVE": {`
		0000 0000 04000000 72000000
		0000 0200 1A000000 "1.2.840.10008.5.1.4.1.1.2" 00
		0000 0001 02000000 0100
		0000 1001 02000000 0200
		0000 0007 02000000 0200
		0000 0008 02000000 0100
		0000 0010 08000000 "2.25.77" 00
		0000 3010 06000000 "PACS1 "
		0000 3110 02000000 2A00`,
		Command{Field: CStoreRQ, AffectedSOPClassUID: "1.2.840.10008.5.1.4.1.1.2", MessageID: 2, Priority: Low, HasData: true,
			AffectedSOPInstanceUID: "2.25.77", MoveOriginatorAETitle: "PACS1", MoveOriginatorMessageID: ptr(42)},
	},
	"C-STORE-RSP with a failure": {`
		0000 0000 04000000 4C000000
		0000 0001 02000000 0180
		0000 2001 02000000 0200
		0000 0008 02000000 0101
		0000 0009 02000000 00A9
		0000 0109 08000000 0800 1600 0800 1800
		0000 0209 0C000000 "wrong class "`,
		Command{Field: CStoreRSP, MessageIDBeingRespondedTo: 2, Status: DataSetDoesNotMatchSOPClass,
			OffendingElement: []dicom.Tag{0x00080016, 0x00080018}, ErrorComment: "wrong class"},
	},
	"C-MOVE-RSP pending": {`
		0000 0000 04000000 50000000
		0000 0001 02000000 2180
		0000 2001 02000000 0300
		0000 0008 02000000 0101
		0000 0009 02000000 00FF
		0000 2010 02000000 0300
		0000 2110 02000000 0400
		0000 2210 02000000 0000
		0000 2310 02000000 0100`,
		Command{Field: CMoveRSP, MessageIDBeingRespondedTo: 3, Status: Pending, NumberOfRemainingSuboperations: ptr(3),
			NumberOfCompletedSuboperations: ptr(4), NumberOfFailedSuboperations: ptr(0), NumberOfWarningSuboperations: ptr(1)},
	},
	"C-MOVE-RQ": {`
		0000 0000 04000000 34000000
		0000 0001 02000000 2100
		0000 1001 02000000 0300
		0000 0006 04000000 "DEST"
		0000 0007 02000000 0000
		0000 0008 02000000 0100`,
		Command{Field: CMoveRQ, MessageID: 3, MoveDestination: "DEST", HasData: true},
	},
	"C-CANCEL-RQ": {`
		0000 0000 04000000 1E000000
		0000 0001 02000000 FF0F
		0000 2001 02000000 0300
		0000 0008 02000000 0101`,
		Command{Field: CCancelRQ, MessageIDBeingRespondedTo: 3},
	},
	"N-EVENT-REPORT-RQ": {`
		0000 0000 04000000 40000000
		0000 0200 04000000 "1.2" 00
		0000 0001 02000000 0001
		0000 1001 02000000 0100
		0000 0008 02000000 0100
		0000 0010 04000000 "1.3" 00
		0000 0210 02000000 0200`,
		Command{Field: NEventReportRQ, AffectedSOPClassUID: "1.2", MessageID: 1, HasData: true, AffectedSOPInstanceUID: "1.3", EventTypeID: ptr(2)},
	},
	"N-ACTION-RQ": {`
		0000 0000 04000000 40000000
		0000 0300 04000000 "1.2" 00
		0000 0001 02000000 3001
		0000 1001 02000000 0100
		0000 0008 02000000 0100
		0000 0110 04000000 "1.3" 00
		0000 0810 02000000 0100`,
		Command{Field: NActionRQ, RequestedSOPClassUID: "1.2", MessageID: 1, HasData: true, RequestedSOPInstanceUID: "1.3", ActionTypeID: ptr(1)},
	},
	"N-GET-RQ": {`
		0000 0000 04000000 42000000
		0000 0300 04000000 "1.2" 00
		0000 0001 02000000 1001
		0000 1001 02000000 0100
		0000 0008 02000000 0101
		0000 0110 04000000 "1.3" 00
		0000 0510 04000000 1000 2000`,
		Command{Field: NGetRQ, RequestedSOPClassUID: "1.2", MessageID: 1, RequestedSOPInstanceUID: "1.3", AttributeIdentifierList: []dicom.Tag{0x00100020}},
	},
	"N-SET-RSP": {`
		0000 0000 04000000 32000000
		0000 0001 02000000 2081
		0000 2001 02000000 0100
		0000 0008 02000000 0101
		0000 0009 02000000 1001
		0000 0309 02000000 0500`,
		Command{Field: NSetRSP, MessageIDBeingRespondedTo: 1, Status: ProcessingFailure, ErrorID: ptr(5)},
	},
}

func TestCommandVectors(t *testing.T) {
	for name, c := range commandVectors {
		b := vector(t, c.listing)
		if got, err := DecodeCommand(b); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, c.want)
		}
		if enc, err := c.want.Encode(); err != nil || !bytes.Equal(enc, b) {
			t.Errorf("%s: encoded, %v\n%X\nwant\n%X", name, err, enc, b)
		}
	}
}

func TestMalformedCommands(t *testing.T) {
	const field, id, none = "0000 0001 02000000 3000", "0000 1001 02000000 0700", "0000 0008 02000000 0101"
	for name, listing := range map[string]string{
		"empty":                   "",
		"no command field":        id + none,
		"no message id":           field + none,
		"no data set type":        field + id,
		"response without status": "0000 0001 02000000 3080 0000 2001 02000000 0700" + none,
		"response without id":     "0000 0001 02000000 3080" + none + "0000 0009 02000000 0000",
		"header cut":              field + id + none + "0000 0009 0200",
		"value cut":               field + id + none + "0000 0009 08000000 0000",
		"4 GiB value":             field + id + none + "0000 0209 FFFFFFFF 0000",
		"other group":             field + id + none + "0800 0100 02000000 0000",
		"out of order":            id + field + none,
		"twice":                   field + field + id + none,
		"number of 4 bytes":       field + "0000 1001 04000000 07000000" + none,
		"tags of 6 bytes":         field + id + none + "0000 0109 06000000 000000000000",
		"group length too short":  "0000 0000 04000000 08000000" + field + id + none,
		"group length of 2 bytes": "0000 0000 02000000 1E00" + field + id + none,
	} {
		if c, err := DecodeCommand(vector(t, listing)); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, err := DecodeCommand(make([]byte, maxCommand+1)); err == nil {
		t.Error("longer than the limit: no error")
	}
}

func TestCommandsThatPeersSendAnyway(t *testing.T) {
	for name, listing := range map[string]string{
		"no group length":          "0000 0001 02000000 3000 0000 1001 02000000 0700 0000 0008 02000000 0101",
		"retired element":          "0000 0001 02000000 3000 0000 1001 02000000 0700 0000 0008 02000000 0101 0000 5008 02000000 0000",
		"store without a priority": "0000 0001 02000000 0100 0000 1001 02000000 0700 0000 0008 02000000 0000",
		"data behind the group":    "0000 0000 04000000 1E000000 0000 0001 02000000 3000 0000 1001 02000000 0700 0000 0008 02000000 0101 0800 5800 04000000 312E3200",
		"empty optional element":   "0000 0001 02000000 3000 0000 1001 02000000 0700 0000 0008 02000000 0101 0000 3110 00000000",
	} {
		if c, err := DecodeCommand(vector(t, listing)); err != nil || c.MessageID != 7 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

func TestErrorCommentIsCut(t *testing.T) {
	c := Command{Field: CStoreRSP, ErrorComment: strings.Repeat("ä", 100)}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeCommand(b)
	if err != nil || got.ErrorComment != strings.Repeat("ä", 64) {
		t.Errorf("%q, %v", got.ErrorComment, err)
	}
}

func TestCommandTooLongToSend(t *testing.T) {
	c := Command{Field: NGetRQ, AttributeIdentifierList: make([]dicom.Tag, maxCommand/4)}
	if _, err := c.Encode(); err == nil {
		t.Error("encoded")
	}
}

func TestMessageNames(t *testing.T) {
	for f, want := range map[CommandField]string{
		CStoreRQ: "C-STORE-RQ", CStoreRSP: "C-STORE-RSP", CCancelRQ: "C-CANCEL-RQ", NEventReportRSP: "N-EVENT-REPORT-RSP",
		NDeleteRQ: "N-DELETE-RQ", 0x0999: "message 0999H", 0x8FFF: "message 8FFFH",
	} {
		if f.String() != want || f.IsKnown() == strings.HasPrefix(want, "message") {
			t.Errorf("%v, known %v, want %s", f, f.IsKnown(), want)
		}
	}
}

func TestStatusClasses(t *testing.T) {
	for s, want := range map[Status]Class{
		Success: ClassSuccess, Pending: ClassPending, PendingWarning: ClassPending, Cancel: ClassCancel,
		WarningCoercion: ClassWarning, WarningElementsDiscarded: ClassWarning, 0xB123: ClassWarning, 0x0001: ClassWarning,
		AttributeListError: ClassWarning, AttributeValueOutOfRange: ClassWarning,
		0xA701: ClassFailure, 0xA9FF: ClassFailure, 0xC123: ClassFailure, NotAuthorized: ClassFailure, 0x0211: ClassFailure,
	} {
		if got := s.Class(); got != want {
			t.Errorf("%04XH: class %d, want %d", uint16(s), got, want)
		}
	}
}

// FuzzCommand decodes command sets. What is accepted must encode, decode to the same and encode to the same bytes; what
// was in our own order and without elements that we skip must come back as it was.
func FuzzCommand(f *testing.F) {
	for _, c := range commandVectors {
		f.Add(vector(f, c.listing))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			return
		}
		enc, err := c.Encode()
		if err != nil {
			if len(b) > maxCommand/2 {
				return // padding and the elements that were missing made it too long
			}
			t.Fatalf("accepted but cannot be encoded: %v", err)
		}
		again, err := DecodeCommand(enc)
		if err != nil {
			t.Fatalf("%X: %v", enc, err)
		}
		if twice, _ := again.Encode(); !bytes.Equal(twice, enc) {
			t.Fatalf("%X became %X", enc, twice)
		}
	})
}
