package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// auditSchema is our own schema of PS3.15 §A.5.1.
const auditSchema = "../ledger/atna/testdata/audit-message.xsd"

// repository is rsyslog as an audit repository: TLS with certificates on both sides, one line a message.
type repository struct {
	t       *testing.T
	dir     string
	address string
	process *process
}

// newRepository makes an authority, the certificates of both sides and a configuration, and starts nothing yet.
func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{t: t, dir: t.TempDir(), address: fmt.Sprintf("127.0.0.1:%d", ports.Free(t))}
	r.certify(time.Now().Add(time.Hour))
	_, port, _ := net.SplitHostPort(r.address)
	write(t, r.path("rsyslog.conf"), fmt.Sprintf(`
global(workDirectory="%[1]s" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="%[1]s/ca.pem"
  defaultNetstreamDriverCertFile="%[1]s/server.pem" defaultNetstreamDriverKeyFile="%[1]s/server.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="audit" type="string" string="<%%pri%%> %%hostname%% %%app-name%% %%msgid%% %%structured-data%%|%%msg%%\n")
ruleset(name="audit") { action(type="omfile" file="%[1]s/audit.log" template="audit") }
input(type="imtcp" port="%[2]s" address="127.0.0.1" ruleset="audit")
`, r.dir, port))
	return r
}

func (r *repository) path(name string) string { return filepath.Join(r.dir, name) }

// certify writes an authority and the certificates that it signs; the repository's ends at until.
func (r *repository) certify(until time.Time) {
	r.t.Helper()
	var authority *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			r.t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano() + int64(i)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		switch name {
		case "ca":
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
			authority, signer = c, key
		case "server":
			c.NotAfter = until
		}
		der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, signer)
		if err != nil {
			r.t.Fatal(err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			r.t.Fatal(err)
		}
		write(r.t, r.path(name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		write(r.t, r.path(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	}
}

// start starts rsyslog, again perhaps, and waits until it listens.
func (r *repository) start() {
	r.t.Helper()
	r.process = launch(r.t, "rsyslogd", "-n", "-f", r.path("rsyslog.conf"), "-i", r.path(fmt.Sprintf("pid-%d", time.Now().UnixNano())))
	await(r.t, "rsyslog to listen", func() bool {
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// configure makes a Cordon send to it.
func (r *repository) configure(c *cordon, also string) {
	r.t.Helper()
	text, err := os.ReadFile(c.config)
	if err != nil {
		r.t.Fatal(err)
	}
	write(r.t, c.config, string(text)+fmt.Sprintf(`audit:
  source: gw-1
  syslog: [{address: 'tls://%s', ca: '%s', certificate: '%s', key: '%s', bom: false}]
%s`, r.address, r.path("ca.pem"), r.path("client.pem"), r.path("client.key"), also))
}

// received are the messages that it has written, in order, each a whole line.
func (r *repository) received() []string {
	text, _ := os.ReadFile(r.path("audit.log"))
	var out []string
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(line, "\n") {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

var eventIDs = regexp.MustCompile(`<EventID csd-code="(\d+)"`)

// events counts the messages by event, repetitions left out.
func (r *repository) events() map[string]int {
	out := map[string]int{}
	seen := map[string]bool{}
	for _, line := range r.received() {
		if m := eventIDs.FindStringSubmatch(line); m != nil && !seen[line] {
			seen[line] = true
			out[m[1]]++
		}
	}
	return out
}

// validate holds every message against the schema, with libxml2, and returns how many there are.
func (r *repository) validate() int {
	r.t.Helper()
	dir := r.t.TempDir()
	args := []string{"--noout", "--schema", auditSchema}
	for i, line := range r.received() {
		header, message, ok := strings.Cut(line, "|")
		if !ok || !strings.HasPrefix(header, "<85> ") || !strings.Contains(header, " cordon DICOM+RFC3881 -") {
			r.t.Errorf("not an audit message: %.200q", line)
			continue
		}
		file := filepath.Join(dir, fmt.Sprintf("%06d.xml", i))
		write(r.t, file, strings.TrimSpace(message))
		args = append(args, file)
	}
	n := len(args) - 3
	for rest := args[3:]; len(rest) > 0; {
		some := rest[:min(500, len(rest))]
		rest = rest[len(some):]
		out := run(r.t, "xmllint", append(slices.Clone(args[:3]), some...)...)
		if strings.Count(out, " validates") != len(some) {
			r.t.Errorf("%s", tail([]byte(out)))
		}
	}
	return n
}

// Every kind of message is valid by the schema.
func TestAuditMessagesAreValid(t *testing.T) {
	text, err := os.ReadFile("../ledger/atna/testdata/messages.xml")
	if err != nil {
		t.Fatal(err)
	}
	dir, args := t.TempDir(), []string{"--noout", "--schema", auditSchema}
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		file := filepath.Join(dir, fmt.Sprintf("%03d.xml", i))
		write(t, file, string(line))
		args = append(args, file)
	}
	out := run(t, "xmllint", args...)
	if n := strings.Count(out, " validates"); n != len(args)-3 {
		t.Errorf("%d of %d validate", n, len(args)-3)
	}
	t.Logf("%d messages validate", len(args)-3)

	// The schema can say no: an order that is wrong, a time without a zone, an event that does not exist.
	for name, wrong := range map[string]string{
		"order":    `<AuditMessage><AuditSourceIdentification AuditSourceID="x"/></AuditMessage>`,
		"zone":     strings.Replace(string(bytes.Split(text, []byte("\n"))[0]), "118Z", "118", 1),
		"event":    strings.Replace(string(bytes.Split(text, []byte("\n"))[0]), `csd-code="110100"`, `csd-code="110199"`, 1),
		"nobody":   regexp.MustCompile(`<ActiveParticipant.*</ActiveParticipant>`).ReplaceAllString(string(bytes.Split(text, []byte("\n"))[0]), ""),
		"no value": strings.Replace(string(bytes.Split(text, []byte("\n"))[0]), `UserID="4711"`, `UserID=""`, 1),
	} {
		file := filepath.Join(dir, "wrong.xml")
		write(t, file, wrong)
		if out, err := try(t, "xmllint", "--noout", "--schema", auditSchema, file); err == nil {
			t.Errorf("%s: valid: %s", name, out)
		}
	}
}

// rsyslog receives what happens, over TLS with certificates on both sides, whole and in order.
func TestAuditRepositoryReceivesEverything(t *testing.T) {
	r := newRepository(t)
	r.start()
	c := newCordon(t, startOrthanc(t, nil))
	r.configure(c, "  ecs: "+r.path("ecs.jsonl")+"\n")
	c.start(t)

	run(t, "storescu", "-aet", "CT1", "-aec", cordonTitle, c.Host, c.Port, filepath.Join(testFiles, "CT_small.dcm"))
	if out, err := try(t, "echoscu", "-aec", "NOBODY", c.Host, c.Port); err == nil {
		t.Fatalf("admitted: %s", out)
	}
	o := named(compose.CT(16, 16), "Hostile^Patient")
	compose.PrivateOB.Put(o, compose.EICAR())
	hostile := filepath.Join(t.TempDir(), "eicar.dcm")
	write(t, hostile, string(o.File()))
	run(t, "storescu", "-aet", "CT1", "-aec", cordonTitle, c.Host, c.Port, hostile)
	for _, item := range c.held(t) {
		id := item.ID
		for _, args := range [][]string{
			{"vault", "show", id}, {"vault", "export", id, "--as", "A. Admin", "--reason", "analysis", "-o", filepath.Join(t.TempDir(), "x.dcm")},
			{"vault", "destroy", id, "--as", "Dr. One", "--reason", "malware"}, {"vault", "destroy", id, "--as", "Dr. Two", "--reason", "malware"},
		} {
			if said := c.cli(t, args...); said.code != 0 {
				t.Errorf("cordon %q: exit code %d: %s", args, said.code, said.err)
			}
		}
	}
	run(t, "findscu", "-S", "-aet", "CT1", "-aec", cordonTitle, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=Compressed*", "-k", "StudyInstanceUID", c.Host, c.Port)
	medium := t.TempDir()
	write(t, filepath.Join(medium, "IMAGE"), string(named(compose.CT(16, 16), "Carried^Patient").File()))
	if said := c.cli(t, "import", medium, "--as", "R. Grapher"); said.code != 0 {
		t.Errorf("cordon import: exit code %d: %s", said.code, said.err)
	}
	c.cli(t, "ledger", "tail")
	c.cli(t, "bypass", "on", "--for", "1m", "--as", "Dr. One", "--reason", "emergency")
	c.cli(t, "bypass", "off", "--as", "Dr. One")
	export := filepath.Join(t.TempDir(), "export")
	if said := c.cli(t, "ledger", "export", "-o", export); said.code != 0 {
		t.Errorf("cordon ledger export: exit code %d: %s", said.code, said.err)
	}
	metrics := page(t, c.Console+"/metrics") + page(t, c.Console+"/")
	if code := c.process.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	t.Cleanup(func() { t.Logf("received: %v", r.events()) })
	want := []string{"110100", "110101", "110102", "110103", "110104", "110106", "110107", "110108", "110112", "110113"}
	await(t, "every event", func() bool {
		got := r.events()
		return !slices.ContainsFunc(want, func(id string) bool { return got[id] == 0 }) && strings.Contains(strings.Join(r.received(), ""), "Application Stop")
	})
	n := r.validate()
	events := r.events()
	for _, id := range slices.Sorted(maps.Keys(events)) {
		t.Logf("%s: %d", id, events[id])
	}
	all := strings.Join(r.received(), "\n")
	for _, says := range []string{"MALWARE-FOUND", "ASSOCIATION-REJECTED", "BYPASS-STARTED", "BYPASS-ENDED", "CompressedSamples^CT1", "Carried^Patient", "1CT1", `NetworkAccessPointID="127.0.0.1"`, `AuditSourceID="gw-1"`} {
		if !strings.Contains(all, says) {
			t.Errorf("%s was not received", says)
		}
	}
	t.Logf("%d messages received by rsyslog, all valid", n)

	// Whom images are of stands in these messages, and nowhere else.
	places := map[string]string{"the log": c.process.printed(), "metrics and page": metrics, "the export": contents(t, export), "the JSON lines": contents(t, r.path("ecs.jsonl"))}
	err := filepath.WalkDir(c.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			places[path] = contents(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, content := range places {
		for _, name := range []string{"CompressedSamples", "Hostile^Patient", "Carried^Patient"} {
			if strings.Contains(content, name) {
				t.Errorf("%q stands in %s", name, place)
			}
		}
	}
}

// named gives an object a patient.
func named(o *compose.Object, name string) *compose.Object {
	o.SetString(dicom.TagPatientName, dicom.PN, name)
	return o
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// page is what a web address answers.
func page(t *testing.T, address string) string {
	t.Helper()
	rsp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil || rsp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, rsp.Status, err)
	}
	return string(text)
}

// Whatever happens to the repository, nothing is lost, and imaging goes on.
func TestAuditRepositoryThatFailsLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	c := newCordon(t, startStoreSCP(t, "+B"))
	r.configure(c, "")
	c.start(t) // before the repository is there
	sent := 0
	reject := func(n int) {
		for range n {
			sent++
			if _, err := try(t, "echoscu", "-aet", fmt.Sprintf("PEER%d", sent), "-aec", "NOBODY", c.Host, c.Port); err == nil {
				t.Fatal("admitted")
			}
		}
	}
	image := func() {
		begin := time.Now()
		run(t, "storescu", "-aet", "CT1", "-aec", cordonTitle, c.Host, c.Port, filepath.Join(testFiles, "CT_small.dcm"))
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("an image took %v", took)
		}
	}
	complete := func(what string) {
		await(t, what, func() bool {
			all := strings.Join(r.received(), "\n")
			for i := range sent {
				if !strings.Contains(all, fmt.Sprintf(`AETITLES=PEER%d"`, i+1)) {
					return false
				}
			}
			return true
		})
	}
	reject(5)
	image()
	r.start()
	complete("what happened before the repository was there")

	reject(3) // and killed while they are on their way
	r.process.kill()
	reject(3)
	image()
	r.start()
	complete("what happened while the repository was away")

	r.process.kill()
	r.certify(time.Now().Add(-time.Hour))
	r.start()
	reject(3)
	image()
	await(t, "the status to say why", func() bool { return strings.Contains(c.cli(t, "status", "--json").out, "expired") })
	r.process.kill()
	r.certify(time.Now().Add(time.Hour)) // and the client's: its files are read again
	r.start()
	complete("what happened while the certificate had expired")

	reject(3)
	c.process.kill()
	c.start(t)
	reject(2)
	complete("what happened before Cordon was killed")
	t.Logf("%d messages, repetitions included; %d valid", len(r.received()), r.validate())
}
