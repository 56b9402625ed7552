package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cordon/console"
	"cordon/custody"
	"cordon/finding"
	"cordon/store"
)

type vaultCommand struct {
	List    vaultListCommand    `cmd:"" help:"What is held."`
	Show    vaultShowCommand    `cmd:"" help:"One object: what was found, what it means, what to do."`
	Release vaultReleaseCommand `cmd:"" help:"Deliver a held object; two people, or one in an emergency."`
	Destroy vaultDestroyCommand `cmd:"" help:"Destroy a held object; two people."`
	Review  vaultReviewCommand  `cmd:"" help:"Review an emergency release; another person than released it."`
	Retry   vaultRetryCommand   `cmd:"" help:"Deliver an object again that its archive has refused."`
	Export  vaultExportCommand  `cmd:"" help:"Write a held object to a file, for analysis."`
}

// person is who asks for something, and why. The name is recorded as asserted.
type person struct {
	ID     string `arg:"" help:"The object, as vault list shows it."`
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
	JSON   bool   `help:"One JSON object."`
}

func (p person) request() console.VaultRequest {
	return console.VaultRequest{By: p.As, Reason: p.Reason}
}

// post asks for an action on the object and decodes what became of it.
func (p person) post(ctx context.Context, at place, action string, rq console.VaultRequest) (custody.Decision, error) {
	var d custody.Decision
	c, err := at.control(ctx)
	if err != nil {
		return d, err
	}
	err = c.ask(ctx, http.MethodPost, vaultPath(p.ID)+"/"+action, rq, &d)
	if closed := c.close(); err == nil {
		err = closed
	}
	return d, err
}

func vaultPath(id string) string { return "vault/" + url.PathEscape(id) }

// report says what became of a request.
func (p person) report(std stdio, d custody.Decision, done string) {
	switch {
	case p.JSON:
		json.NewEncoder(std.out).Encode(d)
	case d.Done:
		fmt.Fprintf(std.out, "%s %s\n", p.ID, done)
	default:
		fmt.Fprintf(std.out, "recorded; %s stays held until a second person asks for the same (asked by %s)\n", p.ID, strings.Join(d.By, ", "))
	}
	if !d.ReviewDue.IsZero() && !p.JSON {
		fmt.Fprintf(std.out, "another person must review this by %s: cordon vault review %s --as NAME --reason TEXT\n", d.ReviewDue.Local().Format(time.DateTime), p.ID)
	}
}

type vaultListCommand struct {
	All       bool   `help:"Also what was released or destroyed."`
	Attention bool   `help:"Instead: what an archive refused, and a person must decide on."`
	Study     string `placeholder:"UID" help:"Only this Study Instance UID."`
	JSON      bool   `help:"One JSON object a line."`
}

// Run lists the oldest first.
func (c vaultListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	query := url.Values{"study": {c.Study}}
	if c.All {
		query.Set("all", "true")
	}
	if c.Attention {
		query.Set("attention", "true")
	}
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, "vault?"+query.Encode(), func(line json.RawMessage) error {
		if c.JSON {
			return encoder.Encode(line) // as it came
		}
		var v console.VaultDetail
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		if n++; n == 1 {
			fmt.Fprint(table, "ID\tSTATE\tSINCE\tFROM\tARCHIVE\tSTUDY\tSIZE\tFOUND\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.State, or(moment(v.HeldAt), "-"),
			printable(or(v.Device, v.CallingAE)), v.Archive, printable(shortUID(v.StudyInstanceUID)), size(v.Bytes), printable(or(v.LastError, ids(v.Findings))))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing")
	}
	return err
}

// ids names what was found, without what is only worth recording.
func ids(fs []finding.Finding) string {
	var out []string
	for _, f := range worthShowing(fs) {
		out = append(out, f.ID)
	}
	return strings.Join(out, ", ")
}

// shortUID is the end of a UID, by which people tell studies apart.
func shortUID(uid string) string {
	const most = 14
	if len(uid) <= most {
		return uid
	}
	return "…" + uid[len(uid)-most:]
}

type vaultShowCommand struct {
	ID   string `arg:"" help:"The object, as vault list shows it."`
	JSON bool   `help:"One JSON object."`
}

func (c vaultShowCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var v console.VaultDetail
	if err := control.get(ctx, vaultPath(c.ID), &v); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(v)
	}
	printVaultDetail(std.out, v)
	return nil
}

func printVaultDetail(w io.Writer, v console.VaultDetail) {
	t := newTable(w)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, printable(value))
		}
	}
	row("object", v.ID)
	row("state", string(v.State))
	row("held", moment(v.HeldAt))
	row("released", moment(v.ReleasedAt))
	row("delivered", moment(v.DeliveredAt))
	row("review due", moment(v.ReviewDue))
	row("decided by", strings.Join(v.DecidedBy, ", "))
	for _, a := range v.Asked {
		row(a.Action, fmt.Sprintf("asked for by %s on %s: %s; a second person is awaited", a.By, moment(a.At), a.Reason))
	}
	row("trouble", v.Alarm)
	row("delivery", v.LastError)
	row("from", fmt.Sprintf("%s, calling AE title %s", or(v.Device, "learned device"), v.CallingAE))
	row("for", fmt.Sprintf("%s, called AE title %s", v.Archive, v.CalledAE))
	row("SOP class", v.SOPClassUID)
	row("SOP instance", v.SOPInstanceUID)
	row("study", v.StudyInstanceUID)
	row("syntax", v.TransferSyntaxUID)
	row("bytes", fmt.Sprint(v.Bytes))
	row("SHA-256", v.SHA256.String())
	t.Flush()
	explained := map[string]bool{}
	for _, f := range v.Findings {
		fmt.Fprintln(w)
		printFindings(w, "", []finding.Finding{f})
		if kind, ok := finding.Lookup(f.ID); ok && !explained[f.ID] {
			explained[f.ID] = true
			fmt.Fprint(w, wrap("  ", kind.Meaning), wrap("  What to do: ", kind.Action))
			if finding.Exceptable(f) && v.State == custody.Held {
				fmt.Fprint(w, wrap("  ", "When its vendor says that the device always writes it: vault release --except, or see cordon exception list."))
			}
		}
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

// wrap breaks text into lines of at most 100 characters, the first after
// prefix, the others indented by two.
func wrap(prefix, text string) string {
	const most = 100
	var out strings.Builder
	line := prefix
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > most {
			out.WriteString(strings.TrimRight(line, " ") + "\n")
			line = "  "
		}
		if !strings.HasSuffix(line, " ") {
			line += " "
		}
		line += word
	}
	return out.String() + line + "\n"
}

type vaultReleaseCommand struct {
	person
	Except    bool `help:"And except what was found for its device, for a year; counts when the second person says so too."`
	Emergency bool `help:"Release a suspicious object now, alone; another person must review it within 24 hours."`
}

func (c vaultReleaseCommand) Run(ctx context.Context, at place, std stdio) error {
	rq := c.request()
	rq.Emergency, rq.Except = c.Emergency, c.Except
	released := "released for delivery"
	if c.Except {
		released += "; what was found is excepted for its device (cordon exception list)"
	}
	d, err := c.post(ctx, at, "release", rq)
	if err == nil {
		c.report(std, d, released)
	}
	return err
}

type vaultDestroyCommand struct{ person }

func (c vaultDestroyCommand) Run(ctx context.Context, at place, std stdio) error {
	d, err := c.post(ctx, at, "destroy", c.request())
	if err == nil {
		c.report(std, d, "destroyed")
	}
	return err
}

type vaultReviewCommand struct{ person }

func (c vaultReviewCommand) Run(ctx context.Context, at place, std stdio) error {
	d, err := c.post(ctx, at, "review", c.request())
	if err == nil {
		c.report(std, d, "reviewed")
	}
	return err
}

type vaultRetryCommand struct{ person }

func (c vaultRetryCommand) Run(ctx context.Context, at place, std stdio) error {
	d, err := c.post(ctx, at, "retry", c.request())
	if err == nil {
		c.report(std, d, "is due for delivery")
	}
	return err
}

type vaultExportCommand struct {
	person
	Output string `short:"o" required:"" placeholder:"FILE" help:"Where to write it; no file may be there."`
}

// Run writes a DICOM file (PS3.10). What is in it was held for a reason.
func (c vaultExportCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	content, err := control.do(ctx, http.MethodPost, vaultPath(c.ID)+"/export", c.request())
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := writeNew(c.Output, content)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.err, "%s: %d bytes; this was held for a reason: handle the file as infected\n", c.Output, n)
	return nil
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(path string, content io.Reader) (n int64, err error) {
	err = createNew(path, func(w io.Writer) error {
		n, err = io.Copy(w, content)
		return err
	})
	return n, err
}

// createNew has write write a file that is not there yet, whole or not at all.
func createNew(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: choose another name", path)
	}
	f, err := store.NewFile(path, 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := write(f); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Commit()
}
