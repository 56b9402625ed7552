package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cordon/console"
	"cordon/evidence"
	"cordon/ledger"
	"cordon/policy"
)

type evidenceCommand struct {
	Make    evidenceMakeCommand    `cmd:"" default:"withargs" help:"Make a pack: a page for each control, signed."`
	Verify  evidenceVerifyCommand  `cmd:"" help:"Prove that a pack is what was signed; needs nothing but the file."`
	Mapping evidenceMappingCommand `cmd:"" help:"Print the mapping for HIPAA, to write one's own like it; or check one."`
}

type evidenceMakeCommand struct {
	From    string   `required:"" placeholder:"DATE" help:"First day, such as 2026-07-01."`
	To      string   `required:"" placeholder:"DATE" help:"Last day."`
	Output  []string `short:"o" required:"" sep:"none" placeholder:"FILE" help:"Where to write it, as its ending says: .pdf, .json or .csv; no file may be there. Several: -o FILE for each."`
	Format  string   `enum:"pdf,json,csv," default:"" help:"Its form, whatever its ending (pdf, json, csv)."`
	Mapping string   `placeholder:"FILE" help:"Controls of your own (YAML); see cordon evidence mapping."`
	As      string   `placeholder:"NAME" help:"Who asks; recorded."`
}

// Run asks for the pack once, and writes it in each form.
func (c evidenceMakeCommand) Run(ctx context.Context, at place, std stdio) error {
	rq, err := c.request()
	if err != nil {
		return failure{2, err}
	}
	signed, err := askEvidence(ctx, at, rq)
	if err != nil {
		return err
	}
	for _, path := range c.Output {
		write := c.form(path, signed)
		if err := createNew(path, write); err != nil {
			return err
		}
	}
	p := signed.Pack
	fmt.Fprintf(std.out, "%s, %s to %s: %d met, %d not met, %d without a case, %d not evidenced\n", printable(p.Mapping.Name), c.From, c.To,
		p.Count(evidence.Met), p.Count(evidence.NotMet), p.Count(evidence.NoCase), p.Count(evidence.NotEvidenced))
	if !p.Ledger.Intact {
		return fmt.Errorf("the ledger is not intact: %s", p.Ledger.Says)
	}
	return nil
}

// request checks what can be checked before a Cordon is asked.
func (c evidenceMakeCommand) request() (rq console.EvidenceRequest, err error) {
	rq.By = c.As
	if rq.From, err = time.ParseInLocation(time.DateOnly, c.From, time.Local); err != nil {
		return rq, fmt.Errorf("--from %.40q: write a day as 2026-07-01", c.From)
	}
	if rq.To, err = time.ParseInLocation(time.DateOnly, c.To, time.Local); err != nil {
		return rq, fmt.Errorf("--to %.40q: write a day as 2026-09-30", c.To)
	}
	if rq.To = rq.To.AddDate(0, 0, 1); !rq.From.Before(rq.To) {
		return rq, fmt.Errorf("--to %s is before --from %s", c.To, c.From)
	}
	for _, path := range c.Output {
		if c.form(path, evidence.Signed{}) == nil {
			return rq, fmt.Errorf("-o %s: end it with .pdf, .json or .csv, or give --format", path)
		}
		if _, err := os.Lstat(path); err == nil {
			return rq, fmt.Errorf("%s is there already: choose another name", path)
		}
	}
	if c.Mapping == "" {
		return rq, nil
	}
	mapping, err := readMapping(c.Mapping)
	rq.Mapping = &mapping
	return rq, err
}

// readMapping reads a file of controls.
func readMapping(path string) (m evidence.Mapping, err error) {
	text, err := readSmallFile(path)
	if err != nil {
		return m, err
	}
	if m, err = parseMapping(text); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return m, err
}

func parseMapping(text []byte) (evidence.Mapping, error) {
	if line := tooDeep(text); line > 0 {
		return evidence.Mapping{}, fmt.Errorf("line %d: more than %d levels", line, maxLevels)
	}
	return evidence.ReadMapping(text)
}

// form is how a pack is written to a file of that name; nil if that is not known.
func (c evidenceMakeCommand) form(path string, s evidence.Signed) func(io.Writer) error {
	switch cmp.Or(c.Format, strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")) {
	case "pdf":
		return s.PDF
	case "json":
		return s.JSON
	case "csv":
		return s.CSV
	}
	return nil
}

func askEvidence(ctx context.Context, at place, rq console.EvidenceRequest) (s evidence.Signed, err error) {
	control, err := at.control(ctx)
	if err != nil {
		return s, err
	}
	answer, err := control.do(ctx, http.MethodPost, "evidence", rq)
	if err == nil {
		s, err = evidence.Read(answer)
		answer.Close()
	}
	return s, errors.Join(err, control.close())
}

type evidenceVerifyCommand struct {
	File string `arg:"" help:"The pack's JSON; a PDF has it attached."`
	Key  string `placeholder:"KEY" help:"The ledger's verifier key or its fingerprint (SHA256:…), had from elsewhere: proves the origin."`
	JSON bool   `help:"One JSON object."`
}

// Run is 0 if the pack is what was signed, 1 if it is not.
func (c evidenceVerifyCommand) Run(ctx context.Context, std stdio) error {
	f, _, err := openFile(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	var v evidence.Verdict
	s, err := evidence.Read(meter{ctx, f, nil})
	if err == nil {
		v, err = s.Verify(ledger.VerifyOptions{Key: c.Key})
	}
	if err != nil {
		return fmt.Errorf("%s is not what was signed: %w", c.File, err)
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(v)
	}
	fmt.Fprintf(std.out, "intact: %s\nsha256 %s\nkey fingerprint %s\n", printable(v.Proves), v.SHA256, v.Fingerprint)
	return nil
}

type evidenceMappingCommand struct {
	File string `arg:"" optional:"" help:"A mapping of your own, to be checked."`
}

// Run checks a mapping, or prints the one for HIPAA.
func (c evidenceMappingCommand) Run(std stdio) error {
	if c.File == "" {
		_, err := std.out.Write(evidence.HIPAA())
		return err
	}
	m, err := readMapping(c.File)
	if err != nil {
		return failure{2, err}
	}
	digest, err := m.Digest()
	fmt.Fprintf(std.out, "%s is good: %s, %d controls, sha256 %s\n", c.File, printable(m.Name), len(m.Controls), digest)
	return err
}

// standing is what the configuration and the settings exempt from inspection or
// admission for as long as they stay as they are; evidence packs name it.
func (c Config) standing(rules policy.Rules) (all []evidence.Exception) {
	add := func(is bool, what string) {
		if is {
			all = append(all, evidence.Exception{What: what, Who: "configuration"})
		}
	}
	add(c.Gateway.Unknown != policy.RefuseUnknown, "devices that are not declared are admitted (unknown_devices)")
	add(rules.Suspicious == policy.Deliver, "suspicious objects are delivered (policy.suspicious)")
	add(rules.Unscanned == policy.Deliver, "what an engine could not scan is delivered and judged again (policy.unscanned)")
	add(rules.Unparseable == policy.Deliver, "what cannot be read is delivered (policy.unparseable)")
	add(c.Engines.Clamd == nil && c.Engines.ICAP == nil, "no outside engine scans (engines)")
	for _, d := range c.Devices {
		add(d.Monitor, "device "+d.Name+" is in monitor mode: nothing of it is held")
	}
	return all
}
