package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cordon/console"
	"cordon/ledger"
	"cordon/store"
)

type ledgerCommand struct {
	Tail       ledgerTailCommand       `cmd:"" help:"What happened last."`
	Export     ledgerExportCommand     `cmd:"" help:"Write the whole ledger to one file that anyone can verify."`
	Prove      ledgerProveCommand      `cmd:"" help:"Write a small file that proves single records."`
	Verify     ledgerVerifyCommand     `cmd:"" help:"Prove that nothing was changed, taken out or put in."`
	Checkpoint ledgerCheckpointCommand `cmd:"" help:"Print the signed checkpoint of all there is, to be kept elsewhere."`
	Key        ledgerKeyCommand        `cmd:"" help:"Print the keys by which others know this Cordon's word."`
	RotateKey  ledgerRotateCommand     `cmd:"" name:"rotate-key" help:"Replace the key; the old one introduces the new."`
	Erase      ledgerEraseCommand      `cmd:"" help:"Erase what the ledger's records say of one patient."`
}

type ledgerTailCommand struct {
	Lines int  `short:"n" default:"20" help:"How many records (${default})."`
	JSON  bool `help:"One JSON object a line."`
}

// Run reads a Cordon that runs through it, which records that; one that is
// stopped is only read.
func (c ledgerTailCommand) Run(ctx context.Context, at place, std stdio) error {
	if c.Lines < 1 || c.Lines > console.MaxTail {
		return fmt.Errorf("n is a number from 1 to %d; an export has all records", console.MaxTail)
	}
	encoder, table := json.NewEncoder(std.out), newTable(std.out)
	defer table.Flush()
	show := func(r ledger.Record) error {
		if c.JSON {
			return encoder.Encode(r)
		}
		body := string(r.Body)
		if r.Body == nil {
			body = "(pruned)"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", r.Seq, r.Time.Local().Format(time.DateTime), r.Kind, printable(body))
		return nil
	}
	return at.ledger(ctx,
		func(control *control) error { return each(ctx, control, fmt.Sprintf("ledger?n=%d", c.Lines), show) },
		func(db *store.DB) error { return ledger.Tail(ctx, db, c.Lines, show) })
}

// ledger reads the ledger: through the Cordon that runs, else from its database,
// which nothing is written to.
func (p place) ledger(ctx context.Context, running func(*control) error, stopped func(*store.DB) error) error {
	control, db, err := p.reading(ctx)
	if err != nil {
		return err
	}
	if db != nil {
		defer db.Close()
		return stopped(db)
	}
	defer control.close()
	return running(control)
}

// fetch writes what the running Cordon answers to a file that is new.
func fetch(ctx context.Context, control *control, path, output string) (int64, error) {
	content, err := control.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return writeNew(output, content)
}

// writing has fn write to a file that is new.
func writing(output string, fn func(io.Writer) error) (int64, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(fn(w)) }() // ends when the file is written, or r is closed
	defer r.Close()
	return writeNew(output, r)
}

type ledgerExportCommand struct {
	Output string `short:"o" required:"" placeholder:"FILE" help:"Where to write it; no file may be there."`
}

func (c ledgerExportCommand) Run(ctx context.Context, at place, std stdio) error {
	var n int64
	err := at.ledger(ctx,
		func(control *control) (err error) {
			n, err = fetch(ctx, control, "ledger/export", c.Output)
			return err
		},
		func(db *store.DB) (err error) {
			n, err = writing(c.Output, func(w io.Writer) error { return ledger.Export(ctx, db, w) })
			return err
		})
	if err == nil {
		fmt.Fprintf(std.err, "%s: %s; check it anywhere with cordon ledger verify %s\n", c.Output, size(n), c.Output)
	}
	return err
}

type ledgerProveCommand struct {
	Records []int64 `arg:"" name:"seq" help:"Numbers of the records, as ledger tail shows them."`
	Output  string  `short:"o" required:"" placeholder:"FILE" help:"Where to write it; no file may be there."`
}

func (c ledgerProveCommand) Run(ctx context.Context, at place, std stdio) error {
	var n int64
	query := url.Values{}
	for _, seq := range c.Records {
		query.Add("seq", strconv.FormatInt(seq, 10))
	}
	err := at.ledger(ctx,
		func(control *control) (err error) {
			n, err = fetch(ctx, control, "ledger/prove?"+query.Encode(), c.Output)
			return err
		},
		func(db *store.DB) (err error) {
			n, err = writing(c.Output, func(w io.Writer) error { return ledger.Prove(ctx, db, w, c.Records...) })
			return err
		})
	if err == nil {
		fmt.Fprintf(std.err, "%s: %s; check it anywhere with cordon ledger verify %s\n", c.Output, size(n), c.Output)
	}
	return err
}

type ledgerCheckpointCommand struct{}

func (c ledgerCheckpointCommand) Run(ctx context.Context, at place, std stdio) error {
	return at.ledger(ctx,
		func(control *control) error {
			content, err := control.do(ctx, http.MethodGet, "ledger/checkpoint", nil)
			if err != nil {
				return err
			}
			defer content.Close()
			_, err = io.Copy(std.out, content)
			return err
		},
		func(db *store.DB) error {
			signed, err := ledger.LastCheckpoint(ctx, db)
			if err == nil {
				_, err = io.WriteString(std.out, signed)
			}
			return err
		})
}

type ledgerKeyCommand struct {
	JSON bool `help:"One JSON object."`
}

func (c ledgerKeyCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var k console.LedgerKeys
	if err := control.get(ctx, "ledger/key", &k); err != nil {
		return err
	}
	return showKeys(std, k, c.JSON)
}

func showKeys(std stdio, k console.LedgerKeys, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(std.out).Encode(k)
	}
	fmt.Fprintf(std.out, "ledger: %s\nfingerprint: %s\n", k.Key, k.Fingerprint)
	if k.Witness != "" {
		fmt.Fprintf(std.out, "witness: %s\n", k.Witness)
	}
	return nil
}

type ledgerRotateCommand struct {
	As     string `required:"" placeholder:"NAME" help:"Who you are."`
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
	JSON   bool   `help:"One JSON object."`
}

func (c ledgerRotateCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var k console.LedgerKeys
	if err := control.ask(ctx, http.MethodPost, "ledger/rotate-key", console.VaultRequest{By: c.As, Reason: c.Reason}, &k); err != nil {
		return err
	}
	return showKeys(std, k, c.JSON)
}

type ledgerEraseCommand struct {
	Patient string `placeholder:"ID" help:"Patient ID (0010,0020)."`
	Issuer  string `placeholder:"NAME" help:"Issuer of Patient ID (0010,0021), if the objects had one."`
	Study   string `placeholder:"UID" help:"Study Instance UID, for objects that had no Patient ID."`
	As      string `required:"" placeholder:"NAME" help:"Who you are."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why; without the patient's name or number."`
	JSON    bool   `help:"One JSON object."`
}

// Run is 0 if there was something, 1 if not.
func (c ledgerEraseCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	rq := console.EraseRequest{By: c.As, Reason: c.Reason, Patient: c.Patient, Issuer: c.Issuer, Study: c.Study}
	var done console.Erased
	if err := control.ask(ctx, http.MethodPost, "ledger/erase", rq, &done); err != nil {
		return err
	}
	switch {
	case c.JSON:
		err = json.NewEncoder(std.out).Encode(done)
	case done.Erased:
		fmt.Fprintln(std.out, "erased: what the records say under this ID and issuer can no longer be read; another issuer is another patient, and backups may still hold the key")
	}
	if err == nil && !done.Erased {
		err = failure{1, fmt.Errorf("the ledger holds nothing about that patient")}
	}
	return err
}
