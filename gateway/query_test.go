package gateway

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/query"
)

// naming writes an identifier of keys and values.
func naming(t testing.TB, keys map[dicom.Tag]string) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	var tags []dicom.Tag
	for tag := range keys {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	for _, tag := range tags {
		a, _ := dicom.LookupAttribute(tag)
		w.String(tag, a.VRs[0], keys[tag])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A request that breaks a rule is refused as a whole, with the element that
// breaks it, before the archive hears of it.
func TestRefusedQueryNeverReachesTheArchive(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass), implicitly(3, moveClass), implicitly(5, getClass)}}, 0)
	for _, r := range []struct {
		name   string
		id     uint8
		rq     dimse.Command
		keys   map[dicom.Tag]string
		status dimse.Status
		at     dicom.Tag
	}{
		{"no level", 1, findRQ, map[dicom.Tag]string{dicom.TagPatientID: "SECRET"}, query.StatusMismatch, dicom.TagQueryRetrieveLevel},
		{"a date that is none", 1, findRQ, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagStudyDate: "SECRET"}, query.StatusMismatch, dicom.TagStudyDate},
		{"every study", 3, moveRQ, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagStudyInstanceUID: ""}, query.StatusMismatch, dicom.TagStudyInstanceUID},
		{"a name in a retrieval", 5, getRQ, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagPatientName: "SECRET", dicom.TagStudyInstanceUID: "1.2"}, query.StatusMismatch, dicom.TagPatientName},
	} {
		got := last(c.ask(r.id, r.rq, naming(t, r.keys)))
		if got.Command.Status != r.status || !slices.Equal(got.Command.OffendingElement, []dicom.Tag{r.at}) || got.Command.ErrorComment == "" {
			t.Errorf("%s: %+v", r.name, got.Command)
		}
	}
	if got := last(c.ask(1, findRQ, naming(t, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY"})[:9])); got.Command.Status != query.StatusUnreadable {
		t.Errorf("cut short: %+v", got.Command)
	}
	if got := last(c.ask(1, findRQ, nil)); got.Command.Status != statusNoDataSet {
		t.Errorf("no identifier: %+v", got.Command)
	}
	if n := len(p.received()); n != 0 {
		t.Errorf("the archive has %d requests", n)
	}
	refused := append(h.recorded("query.refused"), h.recorded("retrieve.refused")...)
	if len(refused) != 6 || refused[0]["offending_element"] != "(0008,0052)" {
		t.Errorf("on the ledger: %v", refused)
	}
	if text := fmt.Sprint(refused); strings.Contains(text, "SECRET") || !strings.Contains(text, "identifier:sealed:") {
		t.Error("the identifier is on the ledger in the clear, or not at all")
	}
}

// The site's own list refuses; it takes no key out.
func TestForbiddenKeyRefusesTheQuery(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p, func(c *Config) { c.Query.Rules.Keys = []dicom.Tag{dicom.TagPatientName} })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	keys := map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagPatientName: "DOE"}
	allowed := naming(t, keys)
	if got := last(c.ask(1, findRQ, allowed)); got.Command.Status != dimse.Success || !bytes.Equal(p.received()[0].data, allowed) {
		t.Errorf("%+v", got.Command)
	}
	keys[dicom.TagPatientBirthDate] = "19700101"
	if got := last(c.ask(1, findRQ, naming(t, keys))); got.Command.Status != query.StatusKeyForbidden || len(p.received()) != 1 {
		t.Errorf("%+v, the archive has %d requests", got.Command, len(p.received()))
	}
}

// A device that is going live is told nothing, and its queries pass.
func TestMonitoredQueryPasses(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p, func(c *Config) { c.Site.Devices[0].Monitor = true })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	if got := last(c.ask(1, findRQ, naming(t, map[dicom.Tag]string{dicom.TagPatientID: "4711"}))); got.Command.Status != dimse.Success {
		t.Errorf("%+v", got.Command)
	}
	eventually(t, "what would have been refused on the ledger", func() bool { return len(h.recorded("query.passed")) == 1 })
}

// More matches than are passed on: the archive is told to stop, and the answer
// is no success.
func TestTooManyMatchesAreCancelled(t *testing.T) {
	match := identifier(t, false)
	cancelled := make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.cancel = func(uint16) { close(cancelled) }
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			for {
				select {
				case <-cancelled:
					x.Respond(context.Background(), m, dimse.Command{Status: dimse.Cancel}, nil)
					return
				default:
					x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, bytes.NewReader(match))
				}
			}
		}
	})
	h := behind(t, p, func(c *Config) { c.Query.MaxMatches = 10 })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	got := c.ask(1, findRQ, identifier(t, false))
	if len(got) != 11 || last(got).Command.Status != statusTooMany || last(got).Command.ErrorComment == "" {
		t.Fatalf("%d responses, %+v", len(got), last(got).Command)
	}
	<-cancelled
	eventually(t, "the query on the ledger", func() bool {
		rs := h.recorded("query.answered")
		return len(rs) == 1 && rs[0]["limited"] == true && rs[0]["matches"] == 10.0
	})
}

// As many matches as are passed on are no reason to fail.
func TestAsManyMatchesAsThereMayBe(t *testing.T) {
	match := identifier(t, false)
	p := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = answering(dimse.Success, match, match, match) })
	h := behind(t, p, func(c *Config) { c.Query.MaxMatches = 3 })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	if got := c.ask(1, findRQ, match); len(got) != 4 || last(got).Command.Status != dimse.Success {
		t.Errorf("%d responses, %+v", len(got), last(got).Command)
	}
}

// One address that asks too fast is told so; it is not kept waiting.
func TestRequestsThatComeTooFast(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p, func(c *Config) { c.Query.PerMinute = 3 })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass), implicitly(3, moveClass)}}, 0)
	for i := range 3 {
		if got := last(c.ask(1, findRQ, identifier(t, false))); got.Command.Status != dimse.Success {
			t.Fatalf("query %d: %+v", i, got.Command)
		}
	}
	if got := last(c.ask(1, findRQ, identifier(t, false))); got.Command.Status != statusTooMany {
		t.Errorf("%+v", got.Command)
	}
	if got := last(c.ask(3, moveRQ, identifier(t, false))); got.Command.Status != statusTooManyMoves {
		t.Errorf("%+v", got.Command)
	}
	if n := len(p.received()); n != 3 {
		t.Errorf("the archive has %d requests", n)
	}
}

// Relational retrievals pass where both sides agreed on them, and nowhere else.
func TestRelationalRetrievalNeedsAgreement(t *testing.T) {
	images := naming(t, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "IMAGE", dicom.TagStudyInstanceUID: "1.2.3"})
	proposed := []ul.ExtendedNegotiation{{SOPClass: moveClass, Information: []byte{1}}}
	for name, agreed := range map[string][]ul.ExtendedNegotiation{"agreed": proposed, "not agreed": {{SOPClass: moveClass, Information: []byte{0}}}} {
		t.Run(name, func(t *testing.T) {
			p := newScriptedPeer(t, func(p *scriptedPeer) { p.respond = func(rs *ul.Response, _ *ul.Request) { rs.Extended = agreed } })
			h := behind(t, p)
			c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, moveClass)}, Extended: proposed}, 0)
			want := dimse.Success
			if name == "not agreed" {
				want = query.StatusMismatch
			}
			if got := last(c.ask(1, moveRQ, images)); got.Command.Status != want {
				t.Errorf("%+v", got.Command)
			}
		})
	}
}

// A worklist that would overflow or mislead its reader, or run in a browser,
// loses these entries and keeps the others: no modality goes without its list.
func TestHostileWorklist(t *testing.T) {
	good := naming(t, map[dicom.Tag]string{dicom.TagPatientName: "DOE^JANE", dicom.TagPatientID: "1"})
	hostile := [][]byte{
		naming(t, map[dicom.Tag]string{dicom.TagPatientName: strings.Repeat("A", 70_000)}),
		naming(t, map[dicom.Tag]string{dicom.TagPatientName: "<script>alert(1)</script>"}),
		good[:len(good)-3],
		append(slices.Clone(good), good...),
	}
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = answering(dimse.Success, append(slices.Clone(hostile), good, good)...)
	})
	h := behind(t, p)
	const class = dicom.ModalityWorklistInformationModelFind
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, class)}}, 0)
	got := c.ask(1, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: class}, naming(t, map[dicom.Tag]string{dicom.TagPatientName: ""}))
	if len(got) != 3 || last(got).Command.Status != dimse.Success || last(got).Command.ErrorComment == "" {
		t.Fatalf("%d responses, %+v", len(got), last(got).Command)
	}
	for _, r := range got[:2] {
		if !bytes.Equal(r.Data, good) {
			t.Errorf("%q", r.Data)
		}
	}
	eventually(t, "the query on the ledger", func() bool {
		rs := h.recorded("query.answered")
		return len(rs) == 1 && rs[0]["held"] == 4.0 && rs[0]["matches"] == 2.0
	})
}
