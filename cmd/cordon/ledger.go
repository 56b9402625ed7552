package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"cordon/ledger"
	"cordon/store"
)

type ledgerCommand struct {
	Tail   ledgerTailCommand   `cmd:"" help:"What happened last."`
	Export ledgerExportCommand `cmd:"" help:"Write the whole ledger to one file that anyone can verify."`
	Verify ledgerVerifyCommand `cmd:"" help:"Prove that nothing was changed, taken out or put in."`
}

type ledgerTailCommand struct {
	Lines int  `short:"n" default:"20" help:"How many records (${default})."`
	JSON  bool `help:"One JSON object a line."`
}

func (c ledgerTailCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table := json.NewEncoder(std.out), newTable(std.out)
	defer table.Flush()
	return each(ctx, control, fmt.Sprintf("ledger?n=%d", c.Lines), func(r ledger.Record) error {
		if c.JSON {
			return encoder.Encode(r)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", r.Seq, r.Time.Local().Format(time.DateTime), r.Kind, printable(string(r.Body)))
		return nil
	})
}

type ledgerExportCommand struct {
	Output string `short:"o" required:"" placeholder:"FILE" help:"Where to write it; no file may be there."`
}

func (c ledgerExportCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	content, err := control.do(ctx, http.MethodGet, "ledger/export", nil)
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := writeNew(c.Output, content)
	if err == nil {
		fmt.Fprintf(std.err, "%s: %s; check it anywhere with cordon ledger verify %s\n", c.Output, size(n), c.Output)
	}
	return err
}

type ledgerVerifyCommand struct {
	File string `arg:"" optional:"" help:"An export; without one, the ledger in the data directory."`
	Key  string `placeholder:"KEY" help:"The ledger's verifier key or its fingerprint (SHA256:…), had from elsewhere: proves the origin."`
	JSON bool   `help:"One JSON object."`
}

// Run is 0 if the ledger is intact, 1 if it is not. For a file it needs nothing
// but the file.
func (c ledgerVerifyCommand) Run(ctx context.Context, at place, std stdio) error {
	r, err := c.verify(ctx, at)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	fmt.Fprintf(std.out, "intact: %s\nkey fingerprint %s\n", r.Proves, r.Fingerprint)
	return nil
}

func (c ledgerVerifyCommand) verify(ctx context.Context, at place) (ledger.Result, error) {
	options := ledger.VerifyOptions{Key: c.Key}
	if c.File == "" {
		return verifyLive(ctx, at, options)
	}
	f, _, err := openFile(c.File)
	if err != nil {
		return ledger.Result{}, err
	}
	defer f.Close()
	r, err := ledger.Verify(meter{ctx, f, nil}, options)
	if err != nil {
		err = fmt.Errorf("%s is not intact: %w", c.File, err)
	}
	return r, err
}

// verifyLive reads the database beside a Cordon that may be using it.
func verifyLive(ctx context.Context, at place, o ledger.VerifyOptions) (ledger.Result, error) {
	config, err := at.config()
	if err != nil {
		return ledger.Result{}, err
	}
	db, err := store.OpenReadOnly(ctx, filepath.Join(config.Data, "cordon.db"), migrations())
	if err != nil {
		return ledger.Result{}, failure{1, err}
	}
	defer db.Close()
	r, err := ledger.VerifyLive(ctx, db, o)
	if err != nil {
		err = fmt.Errorf("the ledger in %s is not intact: %w", config.Data, err)
	}
	return r, err
}
