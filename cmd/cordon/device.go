package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cordon/asset"
	"cordon/console/device"
	"cordon/dicom"
)

type deviceCommand struct {
	List    deviceListCommand    `cmd:"" help:"The devices: declared, approved, denied, learned."`
	Show    deviceShowCommand    `cmd:"" help:"One device: what it does, what it may do, and the least that it needs."`
	Approve deviceApproveCommand `cmd:"" help:"Declare a learned device with the least that it needs, from its next association on."`
	Deny    deviceDenyCommand    `cmd:"" help:"Reject a device's associations, from the next one on."`

	Describe deviceDescribeCommand `cmd:"" help:"Say what a device is: whose, where, which make; or show what is said."`
	Flows    deviceFlowsCommand    `cmd:"" help:"Say what a device talks to, or show what is declared."`
	Import   deviceImportCommand   `cmd:"" help:"Say what many devices are, by a table (CSV): first what it would change."`
	Table    deviceTableCommand    `cmd:"" help:"What all devices are, as a table (CSV) that import takes."`

	Contain   deviceContainCommand   `cmd:"" help:"Take every path from a device but the one of its images; shows first what that does."`
	Restore   deviceRestoreCommand   `cmd:"" help:"Give a contained device its paths back; two people, and how it was found to be clean."`
	Extend    deviceExtendCommand    `cmd:"" help:"Give a containment another end."`
	Confirm   deviceConfirmCommand   `cmd:"" help:"Say yes to a containment that is proposed."`
	Dismiss   deviceDismissCommand   `cmd:"" help:"Say no to it."`
	Unscanned deviceUnscannedCommand `cmd:"" help:"Deliver what waits to be scanned of a contained device, unscanned."`
	Export    deviceExportCommand    `cmd:"" help:"What containing a device means, for a switch that Cordon does not reach."`
}

type deviceListCommand struct {
	JSON bool `help:"One JSON object a line."`
}

func (c deviceListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	var contained map[string]string
	if !c.JSON {
		contained = containedNow(ctx, control)
	}
	err = each(ctx, control, "devices", func(d asset.Device) error {
		if c.JSON {
			return encoder.Encode(d)
		}
		state := string(d.State) + contained[d.Name]
		if n++; n == 1 {
			fmt.Fprint(table, "NAME\tSTATE\tAE TITLE\tSEEN AT\tSERVICES\tASSOCIATIONS\tREFUSED\tWOULD REFUSE\tLAST SEEN\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", d.Name, state, printable(string(d.AETitle)), or(some(d.Addresses), "-"),
			or(strings.Join(d.Services, ","), "-"), d.Associations, d.Refused, d.WouldRefuse, ago(d.LastSeen))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing")
	}
	return err
}

// some is the first of a list, and how many more there are.
func some(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return fmt.Sprintf("%s +%d", list[0], len(list)-1)
}

// scope says what a proposal is to hold.
type scope struct {
	Hours          bool `help:"Only in the hours of the week in which it was seen, and one on each side."`
	Implementation bool `help:"Only with the implementation class UID that was seen."`
	Refused        bool `help:"Also what it asked for and was refused."`
}

func (s scope) asset() asset.Scope {
	return asset.Scope{Hours: s.Hours, Implementation: s.Implementation, Refused: s.Refused}
}

// flags are the options that ask for the same again.
func (s scope) flags() string {
	var out string
	for _, f := range []struct {
		asked bool
		name  string
	}{{s.Hours, " --hours"}, {s.Implementation, " --implementation"}, {s.Refused, " --refused"}} {
		if f.asked {
			out += f.name
		}
	}
	return out
}

type deviceShowCommand struct {
	Name string `arg:"" help:"The device, as device list shows it."`
	scope
	JSON bool `help:"One JSON object."`
}

func (c deviceShowCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	query := url.Values{}
	for name, asked := range map[string]bool{"hours": c.Hours, "implementation": c.Implementation, "refused": c.Refused} {
		if asked {
			query.Set(name, "true")
		}
	}
	var d asset.Detail
	if err := control.get(ctx, devicePath(c.Name)+"?"+query.Encode(), &d); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(d)
	}
	printDevice(std.out, d, c.flags())
	return nil
}

func devicePath(name string) string { return "devices/" + url.PathEscape(name) }

// printDevice writes what a device does, then what it may do and does not, then
// the least that it needs as the configuration would say it, and how to give it that; flags are those
// of the scope that was asked for.
func printDevice(w io.Writer, d asset.Detail, flags string) {
	fmt.Fprintf(w, "%s: %s\n", d.Name, stateText(d.Device))
	t := newTable(w)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", name, value)
		}
	}
	row("AE title", printable(string(d.AETitle)))
	row("seen at", strings.Join(d.Addresses, ", "))
	row("certificates", strings.Join(d.Certificates, ", "))
	row("subjects", printable(strings.Join(d.Subjects, "; ")))
	row("first seen", moment(d.FirstSeen))
	row("last seen", moment(d.LastSeen))
	row("hours seen", strings.Join(d.Hours, "; "))
	row("associations", fmt.Sprintf("%d, of these %d over TLS; %d refused", d.Associations, d.Secured, d.Refused))
	row("messages", fmt.Sprint(d.Requests))
	row("would have been refused", fmt.Sprint(d.WouldRefuse))
	if d.Untold > 0 {
		row("not listed", fmt.Sprintf("%d things more, for which there is no room", d.Untold))
	}
	t.Flush()
	printUses(w, d.Uses)
	if len(d.Unused) > 0 {
		fmt.Fprintln(w, "\nIt may, and did not in the last 180 days:")
		for _, u := range d.Unused {
			fmt.Fprintf(w, "  %s %s, last %s\n", kindText(u.Kind), valueText(u), ago(u.LastSeen))
		}
	}
	fmt.Fprintln(w, "\nThe least that it needs:")
	fmt.Fprint(w, "\n"+block(d.Name, d.Proposal))
	if d.State != asset.Declared && d.State != asset.Superseded {
		fmt.Fprintf(w, "\nTo give it that: cordon device approve %s%s --as NAME --reason TEXT\n", d.Name, flags)
	}
}

func stateText(d asset.Device) string {
	switch d.State {
	case asset.Declared:
		return "declared in the configuration"
	case asset.Learned:
		return "learned; it waits for somebody to approve or deny it"
	case asset.Rejected:
		return "not declared, and refused whenever it came"
	case asset.Superseded:
		return "declared in the configuration under another name: what was decided here has no effect"
	}
	return fmt.Sprintf("%s by %s at %s: %s", d.State, printable(d.DecidedBy), moment(d.DecidedAt), printable(d.Reason))
}

func printUses(w io.Writer, us []asset.Use) {
	t := newTable(w)
	fmt.Fprint(t, "\nWHAT\t\tTIMES\tFIRST\tLAST\n")
	for _, u := range us {
		switch u.Kind {
		case asset.Hour, asset.Asked, asset.AskedDestination: // told in other words
		default:
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", kindText(u.Kind), valueText(u), u.Seen, ago(u.FirstSeen), ago(u.LastSeen))
		}
	}
	t.Flush()
}

func kindText(k asset.Kind) string { return strings.ReplaceAll(string(k), "_", " ") }

// valueText names UIDs that the standard knows.
func valueText(u asset.Use) string {
	switch u.Kind {
	case asset.SOPClass, asset.TransferSyntax:
		return keyword(dicom.UID(u.Value))
	case asset.Refused, asset.WouldRefuse:
		words := strings.Fields(u.Value)
		for i, word := range words {
			words[i] = keyword(dicom.UID(strings.TrimSuffix(word, ":"))) + word[len(strings.TrimSuffix(word, ":")):]
		}
		return printable(strings.Join(words, " "))
	}
	return printable(u.Value)
}

// keyword is the standard's for a UID, or the UID.
func keyword(u dicom.UID) string {
	if known, ok := dicom.LookupUID(u); ok && known.Keyword != "" {
		return known.Keyword
	}
	return string(u)
}

type deviceApproveCommand struct {
	Name string `arg:"" help:"The device, as device list shows it."`
	To   string `name:"name" placeholder:"NAME" help:"What it is called from now on."`
	Port uint16 `placeholder:"PORT" help:"Where it listens: for reports of commitment, and for objects that archives send it."`
	TLS  bool   `name:"port-tls" help:"With --port: it listens there with TLS."`
	scope
	decider
}

func (c deviceApproveCommand) Run(ctx context.Context, at place, std stdio) error {
	if c.TLS && c.Port == 0 {
		return failure{2, errors.New("--port-tls is about a port: add --port PORT")}
	}
	d, err := c.decide(ctx, at, c.Name, "approve", device.Request{Name: c.To, Port: c.Port, PortTLS: c.TLS, Scope: c.asset()})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(d)
	}
	fmt.Fprintf(std.out, "%s is declared from its next association on, with this and no more:\n\n%s", d.Name, block(d.Name, *d.Permissions))
	return nil
}

type deviceDenyCommand struct {
	Name string `arg:"" help:"The device, as device list shows it."`
	decider
}

func (c deviceDenyCommand) Run(ctx context.Context, at place, std stdio) error {
	d, err := c.decide(ctx, at, c.Name, "deny", device.Request{})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(d)
	}
	fmt.Fprintf(std.out, "%s is rejected from its next association on; to undo it: cordon device approve %s --as NAME --reason TEXT\n", d.Name, d.Name)
	return nil
}

// decide asks for a decision; the answer comes once the ledger has it.
func (d decider) decide(ctx context.Context, at place, name, what string, rq device.Request) (asset.Detail, error) {
	rq.By, rq.Reason = d.As, d.Reason
	var out asset.Detail
	c, err := at.control(ctx)
	if err != nil {
		return out, err
	}
	err = c.ask(ctx, http.MethodPost, devicePath(name)+"/"+what, rq, &out)
	if closed := c.close(); err == nil {
		err = closed
	}
	return out, err
}
