package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// planted are texts of a patient that must be nowhere but in the archive.
var planted = []string{"PLANTED^NAME", "PLANTEDID77", "19341218", "PLANTEDACC", "PLANTED STUDY"}

// aboutPatient names the planted patient in an object.
func aboutPatient(o *compose.Object) *compose.Object {
	o.SetString(dicom.TagPatientName, dicom.PN, planted[0])
	o.SetString(dicom.TagPatientID, dicom.LO, planted[1])
	o.SetString(dicom.TagPatientBirthDate, dicom.DA, planted[2])
	o.SetString(dicom.TagAccessionNumber, dicom.SH, planted[3])
	o.SetString(dicom.TagStudyDescription, dicom.LO, planted[4])
	return o
}

// busy sends clean and hostile objects of the planted patient, in one that
// cannot be read and one that is refused too, and asks for what there is not.
func busy(t *testing.T, c *cordon) {
	t.Helper()
	dir := t.TempDir()
	for n := range 3 {
		write(t, filepath.Join(dir, fmt.Sprintf("clean%d.dcm", n)), string(aboutPatient(compose.CT(64, 64)).File()))
	}
	hostile := aboutPatient(compose.CT(64, 64))
	compose.PrivateOB.Put(hostile, compose.WindowsProgram())
	write(t, filepath.Join(dir, "hostile.dcm"), string(hostile.File()))
	cut := aboutPatient(compose.CT(64, 64)).File()
	write(t, filepath.Join(dir, "cut.dcm"), string(cut[:len(cut)-3000]))
	for _, args := range [][]string{
		{"-aec", cordonTitle, "-aet", "CT1"},
		{"-aec", "NOBODY", "-aet", "CT1"}, // rejected
	} {
		try(t, "storescu", append(append(args, "+sd", c.Host, c.Port), dir)...)
	}
	try(t, "findscu", "-S", "-aec", cordonTitle, "-aet", "CT1", c.Host, c.Port, "-k", "0008,0052=STUDY", "-k", "0010,0010="+planted[0], "-k", "0010,0020="+planted[1])
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	rsp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil || rsp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", address, rsp.Status, err, text)
	}
	return string(text)
}

// Nothing of a patient is in what Cordon says of itself: metrics, the page, the
// status, logs, the ledger, evidence on paper.
func TestNoPatientInWhatCordonSays(t *testing.T) {
	c := startCordon(t, nil)
	busy(t, c)
	await(t, "the objects", func() bool { s := c.status(t); return s.Objects.Delivered >= 3 && s.Held >= 1 })
	dir := t.TempDir()
	pack := func(ext string) string { return filepath.Join(dir, "pack."+ext) }
	made := c.cli(t, "evidence", "--from", "2020-01-01", "--to", "2035-01-01", "-o", pack("json"), "-o", pack("csv"), "-o", pack("pdf"))
	if made.code != 0 {
		t.Fatalf("evidence: %s%s", made.out, made.err)
	}
	said := map[string]string{
		"metrics":       fetch(t, c.Console+"/metrics"),
		"page":          fetch(t, c.Console+"/"),
		"status":        c.cli(t, "status").out + c.cli(t, "status", "--json").out,
		"vault":         c.cli(t, "vault", "list", "--json").out,
		"ledger":        c.cli(t, "ledger", "tail", "-n", "1000", "--json").out,
		"evidence.json": read(t, pack("json")),
		"evidence.csv":  read(t, pack("csv")),
		"evidence.pdf":  run(t, "pdftotext", "-layout", pack("pdf"), "-"),
		"log":           c.process.printed(),
	}
	for what, text := range said {
		if len(text) < 100 && what != "log" {
			t.Errorf("%s: only %q", what, text)
		}
		for _, p := range planted {
			if strings.Contains(text, p) || strings.Contains(text, strings.ReplaceAll(p, "^", " ")) {
				t.Errorf("%s names %q", what, p)
			}
		}
	}
	if found := run(t, "grep", "-rlaF", planted[0], filepath.Join(c.Dir, "archive")); found == "" {
		t.Error("the archive does not have the name either: the test proves nothing")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The alert rules are right by Prometheus' own tool, and fire when they should.
func TestAlertRules(t *testing.T) {
	run(t, "promtool", "check", "rules", "../deploy/cordon-alerts.yml")
	run(t, "promtool", "test", "rules", "../deploy/cordon-alerts-test.yml")
}

// prometheus is a real Prometheus that scrapes a Cordon.
type prometheus struct{ address string }

func startPrometheus(t *testing.T, c *cordon) *prometheus {
	t.Helper()
	rules, err := filepath.Abs("../deploy/cordon-alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	write(t, config, fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: ['%s']\nscrape_configs:\n  - job_name: cordon\n    static_configs: [{targets: ['%s']}]\n",
		rules, strings.TrimPrefix(c.Console, "http://")))
	run(t, "promtool", "check", "config", config)
	address := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	launch(t, "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	p := &prometheus{"http://" + address}
	await(t, "prometheus", func() bool {
		rsp, err := http.Get(p.address + "/-/ready")
		if err != nil {
			return false
		}
		rsp.Body.Close()
		return rsp.StatusCode == http.StatusOK
	})
	return p
}

// value is the first value that a query answers, "" if it answers none.
func (p *prometheus) value(t *testing.T, query string) string {
	t.Helper()
	var answer struct {
		Status string
		Error  string
		Data   struct {
			Result []struct{ Value []any }
		}
	}
	rsp, err := http.Get(p.address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	if err := json.NewDecoder(rsp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Errorf("%s: %s", query, answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

func TestPrometheusScrapes(t *testing.T) {
	c := startCordon(t, nil)
	busy(t, c)
	check := command(t, "promtool", "check", "metrics")
	check.Stdin = strings.NewReader(fetch(t, c.Console+"/metrics"))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	p := startPrometheus(t, c)
	await(t, "a scrape", func() bool { return p.value(t, `up{job="cordon"}`) == "1" })
	for query, want := range map[string]string{
		`cordon_objects_total{outcome="delivered"}`:              "3",
		`cordon_accepting`:                                       "1",
		`cordon_verdict_duration_seconds_count{verdict="admit"}`: "3",
		`sum(cordon_delivery_duration_seconds_count)`:            "3",
		`cordon_associations_rejected_total`:                     "1",
		`cordon_object_size_bytes_bucket{le="+Inf"} >= bool 4`:   "1",
		`cordon_activity_reviews_overdue`:                        "0",
		`count(cordon_build_info)`:                               "1",
		`ALERTS{alertname="CordonBypass"}`:                       "",
	} {
		if got := p.value(t, query); got != want {
			t.Errorf("%s is %q, want %q", query, got, want)
		}
	}
	p.dashboard(t)
	p.rules(t)
}

// dashboard asks every query of the dashboard.
func (p *prometheus) dashboard(t *testing.T) {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../deploy/cordon-dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m")
	n := 0
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			n++
			p.value(t, fill.Replace(target.Expr))
		}
	}
	if n < 25 {
		t.Errorf("%d queries", n)
	}
}

// rules fails the test if a rule cannot be evaluated.
func (p *prometheus) rules(t *testing.T) {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	evaluated := func() (n int) {
		if err := json.NewDecoder(bytes.NewBufferString(fetch(t, p.address+"/api/v1/rules"))).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "ok" {
					n++
				}
				if r.LastError != "" {
					t.Fatalf("%s: %s", r.Name, r.LastError)
				}
			}
		}
		return n
	}
	await(t, "the rules", func() bool { return evaluated() >= 20 })
}
