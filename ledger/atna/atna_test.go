package atna

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
)

var update = flag.Bool("update", false, "write the expected messages anew")

var node = Node{ID: "gw-1", Site: "site-1", AETitle: "CORDON", Address: "127.0.0.10", Process: "4711"}

var moment = time.Date(2026, 11, 21, 14, 3, 22, 118e6, time.UTC)

// vault is what sealed strings of the samples hold.
type vault struct{}

func (vault) Unseal(_ context.Context, sealed string, v any) error {
	values := map[string]any{
		"sealed:yamada": Patient{ID: "4711-0815", Issuer: "HOSPITAL", Name: "Yamada^Tarou=山田^太郎", Accession: "A0815"},
		"sealed:query":  base64.StdEncoding.EncodeToString([]byte("\x10\x00\x10\x00\x08\x00\x00\x00YAMADA* ")),
	}
	value, ok := values[sealed]
	if n, long := strings.CutPrefix(sealed, "sealed:long"); long {
		value, ok = Patient{ID: n + strings.Repeat("x", 1000), Issuer: strings.Repeat("y", 1000), Name: strings.Repeat("<", 1000), Accession: strings.Repeat("z", 1000)}, true
	}
	if !ok {
		return ledger.ErrErased
	}
	text, _ := json.Marshal(value)
	return json.Unmarshal(text, v)
}

func (vault) Sealed(_ context.Context, study string) (string, error) {
	if study == "1.2.3" {
		return "sealed:yamada", nil
	}
	if n, long := strings.CutPrefix(study, "9."); long {
		return "sealed:long" + n, nil
	}
	return "", nil
}

// samples are records of every kind that has messages.
func samples(t testing.TB) []ledger.Record {
	t.Helper()
	f, err := os.Open("testdata/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []ledger.Record
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r ledger.Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		r.Seq, r.Time = int64(len(out)), moment
		out = append(out, r)
	}
	return out
}

func render(t testing.TB, r ledger.Record) []Message {
	t.Helper()
	messages, err := Renderer{node, vault{}}.Render(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestEveryKindRendersAsWritten(t *testing.T) {
	var got bytes.Buffer
	for _, r := range samples(t) {
		for _, m := range render(t, r) {
			got.Write(append(m.XML(), '\n'))
		}
	}
	const golden = "testdata/messages.xml"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("messages differ from %s; look at the difference after go test -update", golden)
	}
}

// Every row of the tables has a sample that it makes a message of.
func TestEveryRowHasASample(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range samples(t) {
		for _, m := range render(t, r) {
			seen[r.Kind+" "+m.Event.ID.Value] = true
			if len(m.Event.Types) == 2 {
				seen[r.Kind+" "+m.Event.Types[1].Value] = true
			}
		}
	}
	for _, a := range alerts {
		if !seen[a.kind+" "+a.what.Value] {
			t.Errorf("no sample of %s, %s", a.kind, a.what.Value)
		}
	}
	for _, e := range events {
		made := false
		for key := range seen {
			made = made || strings.HasPrefix(key, e.kind+" 110") && key != e.kind+" 110113"
		}
		if !made {
			t.Errorf("no sample of %s", e.kind)
		}
	}
}

// quiet are the kinds that cause no message, and why.
var quiet = map[string]string{
	"custody.key":               "tells nothing but a public key; config.applied says that Cordon started",
	"pki.list_signed":           "pki.revoked says what is on it",
	"association.begin":         "what moves on it is told study by study",
	"association.end":           "as above",
	"visit.begin":               "as above",
	"visit.end":                 "as above",
	"object.delivered":          "counted by transfer.end",
	"object.refused_by_archive": "counted by transfer.end",
	"object.spooled":            "counted by transfer.end",
	"instance.sent":             "counted by transfer.end",
	"object.scanned":            "clean, and it goes to its archive now",
	"object.rescanned":          "clean, and nothing has changed",
	"retrieve.ended":            "its objects are told study by study",
	"step.relayed":              "no event of the standard's",
	"step.kept":                 "as above",
	"step.delivered":            "as above",
	"step.retried":              "as above",
	"step.dropped":              "as above",
	"operation.relayed":         "as above",
	"commitment.asked":          "as above",
	"commitment.forwarded":      "as above",
	"commitment.answered":       "as above",
	"commitment.reported":       "as above",
	"commitment.given_up":       "as above",
	"commitment.retried":        "as above",
	"commitment.dropped":        "as above",
	"association.accounted":     "of deliveries that transfer.begin told",
	"reconcile.done":            "what it found has records of its own",
	"alarm.raised":              "what it is about has a record of its own",
	"alarm.ended":               "as above",
	"alarm.handled":             "as above; who saw to it is on the Alarms page",
	"review.made":               "by Cordon itself; review.signed says who has read it",
}

// Nothing is recorded that nobody has decided to tell, or not to.
func TestEveryKindIsToldOrQuiet(t *testing.T) {
	told := map[string]bool{}
	for _, a := range alerts {
		told[a.kind] = true
	}
	for _, e := range events {
		told[e.kind] = true
	}
	known := map[string]bool{}
	for _, k := range ledger.Kinds() {
		known[k.Name] = true
		if (quiet[k.Name] != "") == told[k.Name] {
			t.Errorf("%s: give it a row in events or alerts, or a reason in quiet", k.Name)
		}
	}
	for kind := range told {
		if !known[kind] {
			t.Errorf("%s has a row, and nothing records it", kind)
		}
	}
	for kind := range quiet {
		if !known[kind] {
			t.Errorf("%s is quiet, and nothing records it", kind)
		}
	}
}

func TestMessagesKeepTheRulesThatASchemaCannotSay(t *testing.T) {
	for _, r := range samples(t) {
		for _, m := range render(t, r) {
			requestors := 0
			for _, p := range m.Participants {
				if p.Requestor {
					requestors++
				}
			}
			if requestors > 1 {
				t.Errorf("%s: %d requestors", r.Kind, requestors)
			}
			if len(m.Participants) == 0 || m.Source.ID == "" {
				t.Errorf("%s: nobody took part, or nobody reports", r.Kind)
			}
			if m.Event.ID == securityAlert && (len(m.Event.Types) != 2 || m.Event.Types[0].System != "DCM" || m.Event.Types[1].System != "99CORDON") {
				t.Errorf("%s: types %v", r.Kind, m.Event.Types)
			}
			if m.Event.ID == securityAlert && m.Objects[0].Details[len(m.Objects[0].Details)-1].Type != "Alert Description" {
				t.Errorf("%s: an alert without a description", r.Kind)
			}
			if len(m.XML()) > 32768 {
				t.Errorf("%s: %d bytes", r.Kind, len(m.XML()))
			}
			var any struct{}
			if err := xml.Unmarshal(m.XML(), &any); err != nil {
				t.Errorf("%s: %v", r.Kind, err)
			}
		}
	}
}

// The writer makes the standard's example, byte for byte but for line breaks.
func TestReferenceExample(t *testing.T) {
	m := Message{
		Event: Event{Execute, moment, Minor, securityAlert, []Code{objectSecurityChanged, cordon("MALWARE-FOUND", "Malicious content found")}, "Instance held"},
		Participants: []Participant{
			{UserID: "4711", AETitles: []string{"CORDON"}, UserName: "gateway", NetworkPoint: "127.0.0.10"},
			{UserID: "US-ROOM3", AETitles: []string{"US3"}, NetworkPoint: "127.0.0.33"},
		},
		Source: Source{ID: "gw-1", Site: "site-1", Type: 4},
		Objects: []Object{{
			ID: "urn:cordon:vault:01JD", Type: 2, Role: 13, IDType: idURI, Name: "held instance",
			Details: []Detail{{"Alert Description", "PE header in preamble"}},
		}},
	}
	want, err := os.ReadFile("testdata/reference.xml")
	if err != nil {
		t.Fatal(err)
	}
	want = regexp.MustCompile(`\n *`).ReplaceAll(want, nil)
	if got := bytes.TrimPrefix(m.XML(), []byte(`<?xml version="1.0" encoding="UTF-8"?>`)); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMixedTransferIsTwoMessages(t *testing.T) {
	body := `{"direction":"received","study":"1.2.3","peer":"us-3","stored":{"1.2":3},"failed":{"1.2":1}}`
	messages := render(t, ledger.Record{Kind: "transfer.end", Body: json.RawMessage(body), Time: moment})
	if len(messages) != 2 || messages[0].Event.Outcome != Success || messages[1].Event.Outcome != Serious {
		t.Fatalf("%+v", messages)
	}
	if n := messages[1].Objects[0].Describes.SOPClasses[0].Instances; n != 1 {
		t.Errorf("%d instances failed", n)
	}
}

func TestErasedPatientIsUnknown(t *testing.T) {
	body := `{"direction":"sent","study":"1.9","patient":"sealed:gone","peer":"pacs","stored":{"1.2":3}}`
	m := render(t, ledger.Record{Kind: "transfer.end", Body: json.RawMessage(body), Time: moment})[0]
	if p := m.Objects[1]; p.ID != unknown || p.Name != unknown {
		t.Errorf("%+v", p)
	}
}

// Whatever a peer calls itself, the message stays one message.
func TestHostileTextsStayTexts(t *testing.T) {
	body, _ := json.Marshal(map[string]any{
		"calling_ae": `"/><EVIL>`, "address": "127.0.0.66", "error": "\x00\x1b[31m</AuditMessage>&\xff", "device": strings.Repeat("ä", 5000),
	})
	m := render(t, ledger.Record{Kind: "association.failed", Body: body, Time: moment})[0]
	text := m.XML()
	if bytes.Contains(text, []byte("<EVIL")) || bytes.Count(text, []byte("</AuditMessage>")) != 1 || len(text) > 16<<10 {
		t.Errorf("%s", text)
	}
	var back struct {
		ActiveParticipant []struct{ UserID, AlternativeUserID string }
	}
	if err := xml.Unmarshal(text, &back); err != nil {
		t.Error(err)
	}
}

func TestLongestMessagesStayWithinBounds(t *testing.T) {
	long := strings.Repeat("ü", 8000)
	var studies []string
	classes := map[string]int{}
	for i := range 200 {
		studies = append(studies, fmt.Sprint("9.", i))
		classes[fmt.Sprint("1.2.840.10008.5.1.4.1.1.", strings.Repeat("1", 90), i)] = 1
	}
	for _, r := range samples(t) {
		body := map[string]any{}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatal(err)
		}
		for k, v := range body {
			if s, ok := v.(string); ok && k != "identifier" && k != "direction" && !strings.HasPrefix(s, "sealed:") {
				body[k] = long
			}
		}
		body["studies"], body["stored"], body["patient"] = studies, classes, "sealed:long"
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range render(t, ledger.Record{Kind: r.Kind, Body: text, Time: moment}) {
			if n := len(m.XML()); n > 32768-300 { // and the header
				t.Errorf("%s %s: %d bytes", r.Kind, m.Event.ID.Text, n)
			}
		}
	}
}

func TestSyslogHeaderIsTheReferences(t *testing.T) {
	h := header{host: "gw1", process: "4711"}
	want := `<85>1 2026-11-21T14:03:22.118Z gw1 cordon 4711 DICOM+RFC3881 - <?xml…`
	if got := string(h.message(moment, []byte("<?xml…"))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	h.bom = true
	if got := h.message(moment, []byte("<?xml…")); !bytes.Contains(got, []byte(" - \xEF\xBB\xBF<?xml")) {
		t.Errorf("no byte order mark in %q", got)
	}
	if got := string(octetCounted([]byte("abc"))); got != "3 abc" {
		t.Errorf("%q", got)
	}
	if got := (header{host: "a b\nc"}).message(moment, nil); !bytes.HasPrefix(got, []byte("<85>1 2026-11-21T14:03:22.118Z abc cordon - ")) {
		t.Errorf("%q", got)
	}
}

func TestECSLinesHaveNamesAndNoSecrets(t *testing.T) {
	for _, r := range samples(t) {
		text, ok := node.ecs(r)
		if !ok || bytes.Contains(text, []byte("sealed:")) || bytes.Contains(text, []byte("Yamada")) || bytes.ContainsRune(text, '\n') {
			t.Errorf("%s: %s", r.Kind, text)
		}
		var out struct {
			Timestamp time.Time `json:"@timestamp"`
			Event     struct {
				Kind, Action, Outcome string
				Category              []string
			}
			Source struct{ IP string }
		}
		if err := json.Unmarshal(text, &out); err != nil || out.Timestamp != moment || out.Event.Action != r.Kind || len(out.Event.Category) != 1 {
			t.Errorf("%s: %v: %s", r.Kind, err, text)
		}
		if r.Kind == "association.rejected" && (out.Event.Kind != "alert" || out.Event.Outcome != "failure" || out.Source.IP != "127.0.0.66") {
			t.Errorf("%s", text)
		}
		if bytes.Contains(r.Body, []byte(`"direction":"sent"`)) && out.Source.IP != "" {
			t.Errorf("the destination is called the source: %s", text)
		}
	}
}
