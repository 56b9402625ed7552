package ul

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"cordon/dicom"
)

// vector returns the bytes of a hexadecimal listing; what follows a # is a remark, "text" stands for its characters.
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

// rqVector is an A-ASSOCIATE-RQ laid out by hand after PS3.8 tables 9-11 to 9-15 and PS3.7 annex D.3.3.
const rqVector = `
01 00 000000FE          # PDU type, reserved, length
0001 0000               # protocol version, reserved
"PACS            " "CT1             "
0000000000000000 0000000000000000 0000000000000000 0000000000000000
10 00 0015 "1.2.840.10008.3.1.1.1"
20 00 002E 01 00 00 00  # presentation context 1
  30 00 0011 "1.2.840.10008.1.1"
  40 00 0011 "1.2.840.10008.1.2"
50 00 006B
  51 00 0004 00004000   # maximum length
  52 00 0004 "2.25"
  53 00 0004 0001 0002  # asynchronous operations window
  54 00 0015 0011 "1.2.840.10008.1.1" 00 01
  55 00 0005 "CT1.0"
  56 00 0016 0011 "1.2.840.10008.1.1" 01 02 03
  58 00 000D 02 01 0003 "joe" 0004 "pass"
  5A 00 0002 CAFE       # unknown
`

var rqWant = Request{
	Called: "PACS", Calling: "CT1", ApplicationContext: ApplicationContextName,
	Contexts:               []ProposedContext{{1, "1.2.840.10008.1.1", []dicom.UID{"1.2.840.10008.1.2"}}},
	MaxPDULength:           16384,
	ImplementationClassUID: "2.25", ImplementationVersionName: "CT1.0",
	Async:        &AsyncWindow{1, 2},
	Roles:        []RoleSelection{{"1.2.840.10008.1.1", false, true}},
	Extended:     []ExtendedNegotiation{{"1.2.840.10008.1.1", []byte{1, 2, 3}}},
	UserIdentity: &UserIdentity{IdentityPasscode, true, []byte("joe"), []byte("pass")},
	Unknown:      []SubItem{{0x5A, []byte{0xCA, 0xFE}}},
}

const acVector = `
02 00 000000C5
0001 0000
"PACS            " "CT1             "
0000000000000000 0000000000000000 0000000000000000 0000000000000000
10 00 0015 "1.2.840.10008.3.1.1.1"
21 00 0019 01 00 00 00  40 00 0011 "1.2.840.10008.1.2"
21 00 0019 03 00 03 00  40 00 0011 "1.2.840.10008.1.2"
50 00 002A
  51 00 0004 00020000
  52 00 0004 "2.25"
  53 00 0004 0001 0001
  55 00 0004 "P2.0"
  59 00 0006 0004 "tick"
`

var acWant = Response{
	Called: "PACS", Calling: "CT1", ApplicationContext: ApplicationContextName,
	Contexts: []AcceptedContext{
		{1, Acceptance, "1.2.840.10008.1.2"},
		{3, AbstractSyntaxNotSupported, "1.2.840.10008.1.2"},
	},
	MaxPDULength:           131072,
	ImplementationClassUID: "2.25", ImplementationVersionName: "P2.0",
	Async:        &AsyncWindow{1, 1},
	UserIdentity: &UserIdentityResponse{[]byte("tick")},
}

func TestAssociateRequestVector(t *testing.T) {
	b := vector(t, rqVector)
	if n := binary.BigEndian.Uint32(b[2:]); int(n) != len(b)-6 {
		t.Fatalf("the vector's length is %X, want %X", n, len(b)-6)
	}
	got, version, err := decodeRequest(b[6:])
	if err != nil {
		t.Fatal(err)
	}
	if version != 1 || !reflect.DeepEqual(*got, rqWant) {
		t.Errorf("got %+v\nwant %+v", *got, rqWant)
	}
	enc, err := encodeRequest(&rqWant)
	if err != nil || !bytes.Equal(enc, b) {
		t.Errorf("encoded, %v:\n%X\nwant\n%X", err, enc, b)
	}
}

func TestAssociateResponseVector(t *testing.T) {
	b := vector(t, acVector)
	if n := binary.BigEndian.Uint32(b[2:]); int(n) != len(b)-6 {
		t.Fatalf("the vector's length is %X, want %X", n, len(b)-6)
	}
	got, err := decodeResponse(b[6:])
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, acWant) {
		t.Errorf("got %+v\nwant %+v", *got, acWant)
	}
	enc, err := encodeResponse(&acWant)
	if err != nil || !bytes.Equal(enc, b) {
		t.Errorf("encoded, %v:\n%X\nwant\n%X", err, enc, b)
	}
}

func TestShortPDUVectors(t *testing.T) {
	for name, c := range map[string]struct{ got, want []byte }{
		"A-ASSOCIATE-RJ": {encodeRejection(Rejection{1, 1, 7}), vector(t, "03 00 00000004 00 01 01 07")},
		"A-RELEASE-RQ":   {encodeRelease(typeReleaseRQ), vector(t, "05 00 00000004 00000000")},
		"A-RELEASE-RP":   {encodeRelease(typeReleaseRP), vector(t, "06 00 00000004 00000000")},
		"A-ABORT":        {encodeAbort(Abort{2, 6}), vector(t, "07 00 00000004 00 00 02 06")},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: %X, want %X", name, c.got, c.want)
		}
	}
	b := make([]byte, dataHeaderLen, 14)
	putDataHeader(b, 3, controlCommand|controlLast, 2)
	if want := vector(t, "04 00 00000008 00000004 03 03"); !bytes.Equal(b, want) {
		t.Errorf("P-DATA-TF header: %X, want %X", b, want)
	}
}

func TestDataVectorWithTwoValues(t *testing.T) {
	body := vector(t, `00000004 01 03 "ab"  00000003 01 02 "c"`)
	first, rest, err := splitPDV(body)
	if err != nil || !reflect.DeepEqual(first, PDV{1, true, true, []byte("ab")}) {
		t.Fatalf("got %+v, %v", first, err)
	}
	second, rest, err := splitPDV(rest)
	if err != nil || len(rest) != 0 || !reflect.DeepEqual(second, PDV{1, false, true, []byte("c")}) {
		t.Fatalf("got %+v, %d left, %v", second, len(rest), err)
	}
}

// Each of these is a request that must be answered with A-ABORT, reason invalid PDU parameter value.
func TestMalformedRequestsAreInvalid(t *testing.T) {
	head := `0001 0000 "PACS            " "CT1             "` + strings.Repeat("00", 32)
	context := ` 20 00 002E 01 00 00 00 30 00 0011 "1.2.840.10008.1.1" 40 00 0011 "1.2.840.10008.1.2"`
	for name, listing := range map[string]string{
		"short header":                 `0001`,
		"item header cut":              head + context + ` 50 00`,
		"item longer than the PDU":     head + context + ` 50 00 0010 51`,
		"sub-item longer than item":    head + context + ` 50 00 0008 51 00 0014 00004000`,
		"no context":                   head,
		"even context id":              head + strings.Replace(context, "01 00 00 00", "02 00 00 00", 1),
		"context id twice":             head + context + context,
		"context without syntaxes":     head + ` 20 00 0004 01 00 00 00`,
		"context without transfer":     head + ` 20 00 0019 01 00 00 00 30 00 0011 "1.2.840.10008.1.1"`,
		"context header cut":           head + ` 20 00 0002 01 00`,
		"maximum length of 8":          head + context + ` 50 00 0008 51 00 0004 00000008`,
		"maximum length of five bytes": head + context + ` 50 00 0009 51 00 0005 0000400000`,
		"user identity cut":            head + context + ` 50 00 0008 58 00 0004 02 00 0009`,
		"role selection cut":           head + context + ` 50 00 0008 54 00 0004 0011 3132`,
	} {
		_, _, err := decodeRequest(vector(t, listing))
		ab, ok := errors.AsType[*Abort](err)
		if !ok || *ab != (Abort{AbortSourceProvider, AbortInvalidParameterValue}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooManyTransferSyntaxesAreInvalid(t *testing.T) {
	rq := rqWant
	rq.Contexts = []ProposedContext{{ID: 1, AbstractSyntax: "1.2", TransferSyntaxes: make([]dicom.UID, maxTransferSyntaxes+1)}}
	b, err := encodeRequest(&rq)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := decodeRequest(b[6:]); err == nil {
		t.Error("accepted")
	}
}

func TestTitlesPaddedWithNULAreRead(t *testing.T) {
	b := bytes.Replace(vector(t, rqVector), []byte("CT1             "), append([]byte("CT1"), make([]byte, 13)...), 1)
	if rq, _, err := decodeRequest(b[6:]); err != nil || rq.Calling != "CT1" {
		t.Errorf("got %q, %v", rq.Calling, err)
	}
}

func TestItemsThatDoNotFitAreErrors(t *testing.T) {
	long := strings.Repeat("1", 70000)
	for name, rq := range map[string]Request{
		"title":   {Calling: "A TITLE OF SEVENTEEN"},
		"context": {Contexts: []ProposedContext{{1, dicom.UID(long), nil}}},
		"field":   {Roles: []RoleSelection{{SOPClass: dicom.UID(long)}}},
	} {
		if _, err := encodeRequest(&rq); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// FuzzPDU decodes PDUs. Whatever is accepted and encoded again must decode to the same, and encode to the same bytes.
func FuzzPDU(f *testing.F) {
	f.Add(vector(f, rqVector))
	f.Add(vector(f, acVector))
	f.Add(vector(f, `04 00 00000011 00000004 01 03 6162  00000003 01 02 63`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < pduHeaderLen {
			return
		}
		switch body := b[pduHeaderLen:]; b[0] {
		case typeAssociateRQ:
			fuzzRequest(t, body)
		case typeAssociateAC:
			fuzzResponse(t, body)
		case typeData:
			fuzzData(t, body)
		}
	})
}

func fuzzRequest(t *testing.T, body []byte) {
	rq, _, err := decodeRequest(body)
	if err != nil {
		return
	}
	enc, err := encodeRequest(rq)
	if err != nil {
		t.Fatalf("accepted but cannot be encoded: %v", err)
	}
	again, _, err := decodeRequest(enc[pduHeaderLen:])
	if err != nil || !reflect.DeepEqual(again, rq) {
		t.Fatalf("%+v became %+v, %v", rq, again, err)
	}
	if twice, _ := encodeRequest(again); !bytes.Equal(twice, enc) {
		t.Fatalf("%X became %X", enc, twice)
	}
}

func fuzzResponse(t *testing.T, body []byte) {
	rs, err := decodeResponse(body)
	if err != nil {
		return
	}
	enc, err := encodeResponse(rs)
	if err != nil {
		t.Fatalf("accepted but cannot be encoded: %v", err)
	}
	again, err := decodeResponse(enc[pduHeaderLen:])
	if err != nil || !reflect.DeepEqual(again, rs) {
		t.Fatalf("%+v became %+v, %v", rs, again, err)
	}
	if twice, _ := encodeResponse(again); !bytes.Equal(twice, enc) {
		t.Fatalf("%X became %X", enc, twice)
	}
}

func fuzzData(t *testing.T, body []byte) {
	for len(body) > 0 {
		pdv, rest, err := splitPDV(body)
		if err != nil {
			return
		}
		item := body[:len(body)-len(rest)]
		enc := make([]byte, dataHeaderLen)
		putDataHeader(enc, pdv.ContextID, item[5]&3, len(pdv.Data))
		if enc = append(enc[pduHeaderLen:], pdv.Data...); item[5] < 4 && !bytes.Equal(enc, item) {
			t.Fatalf("%X became %X", item, enc)
		}
		if pdv.Command != (enc[5]&controlCommand != 0) || pdv.Last != (enc[5]&controlLast != 0) {
			t.Fatalf("%X read as %+v", item, pdv)
		}
		body = rest
	}
}
