package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// item is an item or sub-item of an A-ASSOCIATE PDU (PS3.8 §9.3.2).
func item(kind byte, parts ...[]byte) []byte {
	value := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(value))), value...)
}

// pdu is a PDU whose length is right.
func pdu(kind byte, parts ...[]byte) []byte {
	value := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(value))), value...)
}

// lying is a PDU that says it has n bytes, followed by others.
func lying(kind byte, n uint32, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind, 0}, n), rest...)
}

// pdv is a presentation data value item (PS3.8 §9.3.5.1).
func pdv(context, control byte, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data)+2)), append([]byte{context, control}, data...)...)
}

// head is what precedes the items of an A-ASSOCIATE-RQ.
func head(version uint16, called, calling string) []byte {
	b := binary.BigEndian.AppendUint16(nil, version)
	return append(fmt.Appendf(append(b, 0, 0), "%-16s%-16s", called, calling), make([]byte, 32)...)
}

var (
	applicationContext = item(0x10, []byte(ul.ApplicationContextName))
	maximumLength      = item(0x51, []byte{0, 0, 0x40, 0})
)

func proposed(id byte, abstract dicom.UID, transfer ...dicom.UID) []byte {
	parts := [][]byte{{id, 0, 0, 0}, item(0x30, []byte(abstract))}
	for _, ts := range transfer {
		parts = append(parts, item(0x40, []byte(ts)))
	}
	return item(0x20, parts...)
}

// request is an A-ASSOCIATE-RQ with these items behind the application context, and these sub-items of user information.
func request(items []byte, user ...[]byte) []byte {
	return pdu(1, head(1, cordonTitle, "CT1"), applicationContext, items, item(0x50, user...))
}

// aborted and rejected are what answers what may not be.
func aborted(source, reason byte) []byte { return []byte{7, 0, 0, 0, 0, 4, 0, 0, source, reason} }

func rejected(result, source, reason byte) []byte {
	return []byte{3, 0, 0, 0, 0, 4, 0, result, source, reason}
}

// commandSet is a command set as it is sent.
func commandSet(t *testing.T, c dimse.Command) []byte {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Everything that PS3.8 and PS3.7 do not allow is answered as they say, and recorded, and the next peer is served.
func TestMalformedPDUs(t *testing.T) {
	c := startCordon(t, nil)
	verification := proposed(1, dicom.Verification, dicom.ImplicitVRLittleEndian)
	both := slices.Concat(verification, proposed(3, dicom.CTImageStorage, dicom.ExplicitVRLittleEndian), proposed(5, dicom.CTImageStorage, "1.2.3.4.5"))
	user := maximumLength
	established := request(both, user)
	echo := commandSet(t, dimse.Command{Field: dimse.CEchoRQ, AffectedSOPClassUID: dicom.Verification, MessageID: 1})
	store := commandSet(t, dimse.Command{Field: dimse.CStoreRQ, AffectedSOPClassUID: dicom.CTImageStorage, AffectedSOPInstanceUID: "1.2.3", MessageID: 1, HasData: true})
	answer := commandSet(t, dimse.Command{Field: dimse.CEchoRSP, MessageIDBeingRespondedTo: 9})
	roles := func(n uint16, uid string, rest ...byte) []byte {
		return item(0x54, binary.BigEndian.AppendUint16(nil, n), []byte(uid), rest)
	}
	after := func(parts ...[]byte) []byte { return slices.Concat(append([][]byte{established}, parts...)...) }
	data := func(parts ...[]byte) []byte { return after(pdu(4, parts...)) }
	unrecognized, unexpected, invalid, byUser := aborted(2, 1), aborted(2, 2), aborted(2, 6), aborted(0, 0)
	cases := []struct {
		name string
		sent []byte
		want []byte
	}{
		// What is no A-ASSOCIATE-RQ.
		{"PDU type 00", pdu(0, []byte("....")), unrecognized},
		{"PDU type 08", pdu(8, []byte("....")), unrecognized},
		{"PDU type FF", pdu(255, []byte("....")), unrecognized},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2\r\n"), unrecognized},
		{"A-ASSOCIATE-AC first", pdu(2, head(1, cordonTitle, "CT1")), unexpected},
		{"A-ASSOCIATE-RJ first", rejected(1, 1, 1), unexpected},
		{"P-DATA-TF first", pdu(4, pdv(1, 3, echo)), unexpected},
		{"A-RELEASE-RQ first", pdu(5, make([]byte, 4)), unexpected},
		{"A-RELEASE-RP first", pdu(6, make([]byte, 4)), unexpected},

		// Lengths of an A-ASSOCIATE-RQ that are not its own.
		{"empty request", lying(1, 0), invalid},
		{"request of 3 bytes", lying(1, 3, 0, 1, 0), invalid},
		{"request without titles", pdu(1, []byte{0, 1, 0, 0}), invalid},
		{"request of 4 GiB", lying(1, 0xFFFFFFFF, 0, 1), invalid},
		{"request of 1 MiB and a byte", lying(1, 1<<20+1, 0, 1), invalid},
		{"item header cut", pdu(1, head(1, cordonTitle, "CT1"), []byte{0x10, 0, 0}), invalid},
		{"item longer than its PDU", pdu(1, head(1, cordonTitle, "CT1"), []byte{0x10, 0, 0xFF, 0xFF, '1'}), invalid},
		{"sub-item longer than its item", request(verification, []byte{0x51, 0, 0xFF, 0xFF, 0}), invalid},
		{"transfer syntax longer than its context", request(item(0x20, []byte{1, 0, 0, 0, 0x40, 0, 0xFF, 0xFF}), user), invalid},

		// Presentation contexts that cannot be.
		{"no presentation context", request(nil, user), invalid},
		{"context of 3 bytes", request(item(0x20, []byte{1, 0, 0}), user), invalid},
		{"even context id", request(proposed(2, dicom.Verification, dicom.ImplicitVRLittleEndian), user), invalid},
		{"context id 0", request(proposed(0, dicom.Verification, dicom.ImplicitVRLittleEndian), user), invalid},
		{"context id twice", request(slices.Concat(verification, verification), user), invalid},
		{"no abstract syntax", request(item(0x20, []byte{1, 0, 0, 0}, item(0x40, []byte(dicom.ImplicitVRLittleEndian))), user), invalid},
		{"no transfer syntax", request(item(0x20, []byte{1, 0, 0, 0}, item(0x30, []byte(dicom.Verification))), user), invalid},
		{"257 transfer syntaxes", request(proposed(1, dicom.Verification, slices.Repeat([]dicom.UID{"1.2"}, 257)...), user), invalid},

		// User information that cannot be.
		{"maximum length of 8 bytes", request(verification, item(0x51, []byte{0, 0, 0, 8})), invalid},
		{"maximum length in 2 bytes", request(verification, item(0x51, []byte{0x40, 0})), invalid},
		{"maximum length in 6 bytes", request(verification, item(0x51, make([]byte, 6))), invalid},
		{"window of 3 bytes", request(verification, user, item(0x53, []byte{0, 1, 0})), invalid},
		{"role without its roles", request(verification, user, roles(3, "1.2", 1)), invalid},
		{"role of a UID longer than the item", request(verification, user, roles(0xFFFF, "1.2")), invalid},
		{"role with more behind it", request(verification, user, roles(3, "1.2", 1, 1, 1)), invalid},
		{"extended negotiation of a UID longer than the item", request(verification, user, item(0x56, []byte{0xFF, 0xFF, '1'})), invalid},
		{"user identity cut short", request(verification, user, item(0x58, []byte{2, 1, 0, 9, 'j'})), invalid},
		{"1,025 sub-items", request(verification, slices.Repeat(item(0x5A), 1025)), invalid},

		// Requests that nobody accepts.
		{"protocol version 2", pdu(1, head(2, cordonTitle, "CT1"), applicationContext, verification, item(0x50, user)), rejected(1, 2, 2)},
		{"another application", pdu(1, head(1, cordonTitle, "CT1"), item(0x10, []byte("1.2.3")), verification, item(0x50, user)), rejected(1, 1, 2)},
		{"no application", pdu(1, head(1, cordonTitle, "CT1"), verification, item(0x50, user)), rejected(1, 1, 2)},
		{"no calling AE title", pdu(1, head(1, cordonTitle, ""), applicationContext, verification, item(0x50, user)), rejected(1, 1, 3)},
		{"control characters for a calling AE title", pdu(1, head(1, cordonTitle, "CT\x1b[2J"), applicationContext, verification, item(0x50, user)), rejected(1, 1, 3)},
		{"unknown called AE title", pdu(1, head(1, "ELSEWHERE", "CT1"), applicationContext, verification, item(0x50, user)), rejected(1, 1, 7)},
		{"no called AE title", pdu(1, head(1, "", "CT1"), applicationContext, verification, item(0x50, user)), rejected(1, 1, 7)},

		// PDUs that have no place on an association.
		{"second A-ASSOCIATE-RQ", after(established), unexpected},
		{"A-ASSOCIATE-AC", after(pdu(2, head(1, cordonTitle, "CT1"))), unexpected},
		{"A-ASSOCIATE-RJ", after(rejected(1, 1, 1)), unexpected},
		{"A-RELEASE-RP unasked", after(pdu(6, make([]byte, 4))), unexpected},
		{"unknown PDU", after(pdu(9, make([]byte, 4))), unrecognized},
		{"empty A-RELEASE-RQ", after(lying(5, 0)), invalid},
		{"A-RELEASE-RQ of 8 bytes", after(pdu(5, make([]byte, 8))), invalid},
		{"A-ABORT of 4 GiB", after(lying(7, 0xFFFFFFFF)), invalid},

		// Before the answer.
		{"data that do not wait for the answer", slices.Concat(request(verification, user), pdu(4, pdv(1, 3, echo))), unexpected},
		{"release that does not wait for the answer", slices.Concat(request(verification, user), pdu(5, make([]byte, 4))), unexpected},

		// P-DATA-TF.
		{"empty P-DATA-TF", after(lying(4, 0)), invalid},
		{"P-DATA-TF longer than announced", after(lying(4, 131073, 0)), invalid},
		{"P-DATA-TF of 4 GiB", after(lying(4, 0xFFFFFFFF, 0)), invalid},
		{"value of 0 bytes", data([]byte{0, 0, 0, 0}), invalid},
		{"value without its control header", data([]byte{0, 0, 0, 1, 1, 3}), invalid},
		{"value longer than its PDU", data([]byte{0, 0, 0xFF, 0xFF, 1, 3, 'a', 'b'}), invalid},
		{"value of 4 GiB", data([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1, 3, 'a', 'b'}), invalid},
		{"bytes behind the last value", data(pdv(1, 1, []byte("ab")), []byte{0, 0}), invalid},
		{"context never proposed", data(pdv(7, 3, echo)), invalid},
		{"context that was refused", data(pdv(5, 3, store)), invalid},
		{"context 0", data(pdv(0, 3, echo)), invalid},
		{"even context", data(pdv(2, 3, echo)), invalid},

		// Messages.
		{"data set without its command", data(pdv(3, 2, []byte("ab"))), byUser},
		{"command that is none", data(pdv(1, 3, []byte("rubbish!"))), byUser},
		{"command in the middle of a command", data(pdv(1, 1, echo[:20]), pdv(3, 1, store[:20])), byUser},
		{"command longer than 64 KiB", data(bytes.Repeat(pdv(1, 1, make([]byte, 16000)), 5)), byUser},
		{"command that never ends", after(bytes.Repeat(pdu(4, pdv(1, 1, nil)), 40000)), byUser},
		{"command inside a data set", data(pdv(3, 3, store), pdv(3, 0, []byte("ab")), pdv(1, 3, echo)), byUser},
		{"data set on another context", data(pdv(3, 3, store), pdv(1, 0, []byte("ab"))), byUser},
		{"fragments with nothing in them", after(pdu(4, pdv(3, 3, store)), bytes.Repeat(pdu(4, pdv(3, 0, nil)), 100)), byUser},
		{"response to no request", data(pdv(1, 3, answer)), byUser},
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, k := range cases {
		first, then := []byte(nil), k.sent
		if rest, ok := bytes.CutPrefix(k.sent, established); ok {
			first, then = established, rest
		}
		got := exchangeBytes(t, k.name, c.Address, first, then)
		if !bytes.Equal(got, k.want) {
			t.Errorf("%s: answered % x, want % x", k.name, got[:min(len(got), 40)], k.want)
		}
	}
	c.alive(t)
	if s := c.status(t); s.Objects.Panics != 0 {
		t.Errorf("%d panics", s.Objects.Panics)
	}
	tail := c.cli(t, "ledger", "tail", "-n", "1000", "--json").out
	recorded := strings.Count(tail, `"kind":"association.failed"`) + strings.Count(tail, `"kind":"association.rejected"`)
	if recorded < 30 {
		t.Errorf("%d of what was refused is on the ledger, want at least the first 30", recorded)
	}
	t.Logf("%d malformed exchanges", len(cases))
}

// exchangeBytes requests an association with first, if it is not nil, reads the A-ASSOCIATE-AC, sends then, and returns what
// is answered, up to the end.
func exchangeBytes(t *testing.T, name, address string, first, then []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if first != nil {
		head := make([]byte, 6)
		if _, err := conn.Write(first); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.ReadFull(conn, head); err != nil || head[0] != 2 {
			t.Fatalf("%s: no A-ASSOCIATE-AC: % x, %v", name, head, err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[2:]))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	go conn.Write(then) // ends when it is read, or the connection is closed
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: not hung up on; answered % x", name, answer)
	}
	return answer
}
