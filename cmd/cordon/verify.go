package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"cordon/console"
	"cordon/ledger"
	"cordon/store"
)

type ledgerVerifyCommand struct {
	File    string   `arg:"" optional:"" help:"An export or a proof; without one, the ledger in the data directory."`
	Key     string   `placeholder:"KEY" help:"One of the ledger's verifier keys or its fingerprint (SHA256:…), had from elsewhere: proves the origin."`
	Witness []string `placeholder:"KEY" help:"A witness's verifier key or its fingerprint; it must have cosigned."`
	Since   string   `placeholder:"FILE" help:"An older export, proof or checkpoint of the same ledger, from which it must have grown."`
	Record  *int64   `placeholder:"SEQ" help:"Show this record, with what proves it."`
	JSON    bool     `help:"One JSON object."`
}

// Run is 0 if the ledger is intact, 1 if it is not. For a file it needs nothing
// but the file.
func (c ledgerVerifyCommand) Run(ctx context.Context, at place, std stdio) error {
	o := ledger.VerifyOptions{Key: c.Key, Witnesses: c.Witness}
	if c.Since != "" {
		var err error
		if o.Since, err = older(ctx, c.Since); err != nil {
			return err
		}
	}
	switch proof, err := isProof(c.File); {
	case err != nil:
		return err
	case proof:
		return c.proof(ctx, o, std)
	}
	r, err := c.verify(ctx, at, o)
	if err != nil {
		return c.forked(ctx, err)
	}
	var record *ledger.Record
	if c.Record != nil {
		if record, err = c.record(ctx, at, r); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(struct {
			ledger.Result
			Record *ledger.Record `json:"record,omitempty"`
		}{r, record})
	}
	if record != nil {
		fmt.Fprintf(std.out, "%d  %s  %s  %s\n", record.Seq, record.Time.Local().Format("2006-01-02 15:04:05"), record.Kind, printable(string(record.Body)))
		fmt.Fprintf(std.out, "Record %d is among those proved here.\n", record.Seq)
	}
	fmt.Fprintf(std.out, "intact: %s\nkey fingerprint %s\n", r.Proves, r.Fingerprint)
	return nil
}

// isProof tells a proof from an export by how it begins.
func isProof(path string) (bool, error) {
	if path == "" {
		return false, nil
	}
	f, _, err := openFile(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start, err := bufio.NewReader(f).Peek(len(`{"cordon-proof"`))
	return err == nil && string(start) == `{"cordon-proof"`, nil
}

// older reads the checkpoint of an older file.
func older(ctx context.Context, path string) ([]byte, error) {
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	signed, err := ledger.ReadCheckpoint(meter{ctx, f, nil})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signed, nil
}

// proof verifies a proof of single records.
func (c ledgerVerifyCommand) proof(ctx context.Context, o ledger.VerifyOptions, std stdio) error {
	f, _, err := openFile(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if c.Since != "" || c.Record != nil {
		return failure{2, errors.New("--since and --record are for exports: a proof shows its records, and knows no others")}
	}
	r, err := ledger.VerifyProof(meter{ctx, f, nil}, o)
	if err != nil {
		return fmt.Errorf("%s is not intact: %w", c.File, err)
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	for _, record := range r.Proved {
		fmt.Fprintf(std.out, "%d  %s  %s  %s\n", record.Seq, record.Time.Local().Format("2006-01-02 15:04:05"), record.Kind, printable(string(record.Body)))
	}
	fmt.Fprintf(std.out, "intact: %s\nkey fingerprint %s\n", r.Proves, r.Fingerprint)
	return nil
}

func (c ledgerVerifyCommand) verify(ctx context.Context, at place, o ledger.VerifyOptions) (ledger.Result, error) {
	if c.File == "" {
		return verifyLive(ctx, at, o)
	}
	f, _, err := openFile(c.File)
	if err != nil {
		return ledger.Result{}, err
	}
	defer f.Close()
	r, err := ledger.Verify(meter{ctx, f, nil}, o)
	if err != nil {
		err = fmt.Errorf("%s is not intact: %w", c.File, err)
	}
	return r, err
}

// forked adds to why an export is not one of an older export's where the two
// part.
func (c ledgerVerifyCommand) forked(ctx context.Context, why error) error {
	if c.File == "" || c.Since == "" {
		return why
	}
	a, _, err := openFile(c.File)
	if err != nil {
		return why
	}
	defer a.Close()
	b, _, err := openFile(c.Since)
	if err != nil {
		return why
	}
	defer b.Close()
	if n, err := ledger.Differ(meter{ctx, a, nil}, meter{ctx, b, nil}); err == nil {
		return fmt.Errorf("%w (the two files are alike up to record %d)", why, n-1)
	}
	return why
}

// record returns one record of what was just verified.
func (c ledgerVerifyCommand) record(ctx context.Context, at place, r ledger.Result) (*ledger.Record, error) {
	if *c.Record < 0 || *c.Record >= r.TreeSize {
		return nil, fmt.Errorf("no signed record %d: they are 0 to %d", *c.Record, r.TreeSize-1)
	}
	var proof bytes.Buffer
	if c.File == "" {
		db, _, err := at.readOnly(ctx)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		if err := ledger.Prove(ctx, db, &proof, *c.Record); err != nil {
			return nil, err
		}
		p, err := ledger.VerifyProof(&proof, ledger.VerifyOptions{})
		if err != nil {
			return nil, err
		}
		return &p.Proved[0], nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ledger.ReadRecord(f, *c.Record)
}

// verifyLive reads the database beside a Cordon that may be using it, and has
// that one record what was found.
func verifyLive(ctx context.Context, at place, o ledger.VerifyOptions) (ledger.Result, error) {
	db, config, err := at.readOnly(ctx)
	if err != nil {
		return ledger.Result{}, failure{1, err}
	}
	defer db.Close()
	r, err := ledger.VerifyLive(ctx, db, o)
	if err != nil {
		err = fmt.Errorf("the ledger in %s is not intact: %w", config.Data, err)
	}
	return r, errors.Join(err, at.verified(ctx, r, err))
}

// verified tells the Cordon that runs, if one does.
func (p place) verified(ctx context.Context, r ledger.Result, found error) error {
	control, err := p.running(ctx)
	if err != nil || control == nil {
		return err
	}
	defer control.close()
	v := console.Verified{Intact: found == nil, Records: r.TreeSize}
	if found != nil {
		v.Error = found.Error()
	}
	return control.ask(ctx, http.MethodPost, "ledger/verified", v, &v)
}

// readOnly opens the database beside a Cordon that may be using it.
func (p place) readOnly(ctx context.Context) (*store.DB, Config, error) {
	config, err := p.config()
	if err != nil {
		return nil, config, err
	}
	db, err := store.OpenReadOnly(ctx, filepath.Join(config.Data, "cordon.db"), migrations())
	return db, config, err
}

// reading is control, or, where no Cordon runs, its database to be read only.
func (p place) reading(ctx context.Context) (*control, *store.DB, error) {
	control, err := p.running(ctx)
	if err != nil || control != nil {
		return control, nil, err
	}
	config, err := p.config()
	if err != nil {
		return nil, nil, err
	}
	if err := hasData(config); err != nil {
		return nil, nil, err
	}
	db, _, err := p.readOnly(ctx)
	if err != nil {
		return nil, nil, failure{2, err}
	}
	return nil, db, nil
}
