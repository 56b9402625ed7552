package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cordon/console/containment"
	"cordon/contain"
	"cordon/custody"
	"cordon/firewall"
	"cordon/network"
)

// containCommand lists what is contained, or shows what the policy would have done.
type containCommand struct {
	DryRun string `type:"existingfile" placeholder:"FILE" help:"Recorded traffic (a pcap file, Suricata's EVE JSON, Zeek's conn.log): what containment.automatic would have done. Nothing is done."`
	All    bool   `help:"Also what is over."`
	JSON   bool   `help:"One JSON object a line."`
}

func (c containCommand) Run(ctx context.Context, at place, std stdio) error {
	if c.DryRun != "" {
		return c.dryRun(ctx, at, std)
	}
	return withControl(ctx, at, func(control *control) error {
		if err := c.list(ctx, control, std); err != nil || c.JSON {
			return err
		}
		return c.proposals(ctx, control, std)
	})
}

func (c containCommand) list(ctx context.Context, control *control, std stdio) error {
	path := "containments?now=true"
	if c.All {
		path = "containments"
	}
	table, n := newTable(std.out), 0
	err := each(ctx, control, path, func(x contain.Containment) error {
		if c.JSON {
			return json.NewEncoder(std.out).Encode(x)
		}
		if n++; n == 1 {
			fmt.Fprintln(table, "DEVICE\tLEVEL\tSTATE\tENFORCED\tSINCE\tUNTIL\tBY\tDROPPED\tWHY")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", x.Device, x.Level, x.State, enforced(x), moment(x.Since), until(x), strings.Join(x.By, ", "), x.Counts.Dropped.Packets, printable(x.Reason))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "no device is contained")
	}
	return err
}

func (c containCommand) proposals(ctx context.Context, control *control, std stdio) error {
	return each(ctx, control, "containments/proposals", func(p contain.Proposal) error {
		_, err := fmt.Fprintf(std.out, "proposed: contain %s (%s) because of %s: %s\n  yes: cordon device confirm %s; no: cordon device dismiss %s\n", p.Device, p.Level, p.Rule, printable(p.Detail), p.Device, p.Device)
		return err
	})
}

// containedNow is what a list of devices says of those that are contained: nothing to
// who may not see it.
func containedNow(ctx context.Context, control *control) map[string]string {
	out := map[string]string{}
	each(ctx, control, "containments?now=true", func(x contain.Containment) error {
		if out[x.Device] = ", contained"; !x.Enforced {
			out[x.Device] = ", NOT contained as ordered"
		}
		return nil
	})
	return out
}

func enforced(x contain.Containment) string {
	if x.Enforced {
		return "yes"
	}
	return "NO: " + printable(x.Why)
}

func until(x contain.Containment) string {
	if x.Until.IsZero() {
		return "restored"
	}
	return moment(x.Until)
}

// dryRun shows what would have been done. It needs no daemon.
func (c containCommand) dryRun(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	w, err := network.New(ctx, config.replay(), network.Parts{})
	if err != nil {
		return err
	}
	f, err := os.Open(c.DryRun)
	if err != nil {
		return failure{2, err}
	}
	defer f.Close()
	if err := replay(ctx, f, w); err != nil {
		return failure{2, err}
	}
	var signals []contain.Signal
	for _, a := range w.Drain() {
		signals = append(signals, signalOf(a))
	}
	slices.SortStableFunc(signals, func(a, b contain.Signal) int { return a.At.Compare(b.At) })
	done := config.Containment.Policy.DryRun(signals, config.world())
	table := newTable(std.out)
	for i, d := range done {
		if c.JSON {
			if err := json.NewEncoder(std.out).Encode(d); err != nil {
				return err
			}
			continue
		}
		if i == 0 {
			fmt.Fprintln(table, "WHEN\tDEVICE\tRULE\tWOULD HAVE\tWHY")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", d.Signal.At.Local().Format("2006-01-02 15:04:05.000"), or(d.Signal.Device, "-"), d.Signal.Rule, or(string(d.Decision.Do), "done nothing"), d.Decision.Why)
	}
	table.Flush()
	if len(done) == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing unusual: nothing would have been done")
	}
	return nil
}

// world is what the configuration alone knows of devices.
func (c Config) world() (w contain.World) {
	for i, v := range c.Devices {
		about := c.About[i].Inventory
		w.Devices = append(w.Devices, contain.Device{
			Name: v.Name, Addresses: v.Addresses, Modality: about.Modality, Criticality: about.Criticality, Infrastructure: c.infrastructure(v.Addresses),
		})
	}
	for _, a := range c.Archives {
		w.Devices = append(w.Devices, contain.Device{Name: "archive " + a.Name, Addresses: a.at(), Infrastructure: "archive " + a.Name})
	}
	return w
}

type deviceContainCommand struct {
	Name  string `arg:"" help:"The device, as device list shows it."`
	Level string `default:"image_only" enum:"observe,image_only,cut" help:"How much it keeps: observe (everything), image_only (images and what it needs to scan), cut (nothing)."`
	For   string `placeholder:"TIME" help:"For how long, such as 4h or 7d; it is restored by itself then. Without it: until it is restored."`
	Yes   bool   `short:"y" help:"Do not ask."`
	signed
	JSON bool `help:"One JSON object; does not ask."`
}

func (c deviceContainCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var p contain.Preview
		if err := control.get(ctx, devicePath(c.Name)+"/containment/preview?level="+c.Level, &p); err != nil {
			return err
		}
		if !c.JSON {
			printEffect(std.out, p)
		}
		if !c.Yes && !c.JSON {
			if err := ask(std, fmt.Sprintf("Contain %s now (%s)?", c.Name, c.Level)); err != nil {
				return err
			}
		}
		var x contain.Containment
		rq := containment.Request{By: c.As, Reason: c.Reason, Level: c.Level, For: c.For}
		if err := control.ask(ctx, http.MethodPost, devicePath(c.Name)+"/contain", rq, &x); err != nil {
			return err
		}
		return c.said(std, x)
	})
}

// said tells what came of it: exit status 1 if it is not enforced.
func (c deviceContainCommand) said(std stdio, x contain.Containment) error {
	if c.JSON {
		return json.NewEncoder(std.out).Encode(x)
	}
	end := "stays until it is restored"
	if !x.Until.IsZero() {
		end = "restored by itself at " + moment(x.Until) + " unless extended"
	}
	if x.Enforced {
		fmt.Fprintf(std.out, "%s is contained (%s), %s; undo: cordon device restore %s\n", x.Device, x.Level, end, x.Device)
		return nil
	}
	fmt.Fprintf(std.out, "%s is to be contained (%s), %s\n", x.Device, x.Level, end)
	return failure{1, fmt.Errorf("not enforced: %s; what it sends is inspected more strictly all the same (cordon device export %s: rules for the switch)", x.Why, x.Device)}
}

// ask has a person say yes.
func ask(std stdio, question string) error {
	if !std.terminal {
		return failure{2, errors.New("nobody is there to say yes; write --yes")}
	}
	fmt.Fprintf(std.out, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(std.in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if s := strings.ToLower(strings.TrimSpace(line)); s != "y" && s != "yes" {
		return failure{1, errors.New("nothing was done")}
	}
	return nil
}

func printEffect(w io.Writer, p contain.Preview) {
	fmt.Fprintf(w, "%s, %s\n", p.Device, p.Level)
	if p.Refused != "" {
		fmt.Fprintf(w, "  refused: %s\n", p.Refused)
	}
	switch {
	case !p.Coverage.Covered:
		fmt.Fprintf(w, "  not enforced (%s): %s\n", p.Enforcer, p.Coverage.Why)
	case p.Coverage.Why != "":
		fmt.Fprintf(w, "  enforced by %s, but %s\n", p.Enforcer, p.Coverage.Why)
	default:
		fmt.Fprintf(w, "  enforced by %s, towards its neighbours too\n", p.Enforcer)
	}
	if !p.Watched {
		fmt.Fprintln(w, "  nobody watches the network: what it talks to is not known")
	}
	printPaths(w, "stops", p.Stops)
	if p.Level == firewall.ImageOnly {
		fmt.Fprintln(w, "  goes on: images, worklist, procedure steps, commitment, retrieves, through Cordon")
	}
	for _, f := range p.Allowed {
		fmt.Fprintf(w, "  goes on: %s %s %d %v\n", f.Purpose, f.Protocol, f.Port, f.To)
	}
	printPaths(w, "goes on", p.GoesOn)
	for _, s := range p.Depends {
		fmt.Fprintf(w, "  %s\n", s)
	}
}

func printPaths(w io.Writer, what string, all []contain.Seen) {
	for i, s := range all {
		if i == 20 {
			fmt.Fprintf(w, "  %s: %d more\n", what, len(all)-i)
			return
		}
		way := "to"
		if s.Inbound {
			way = "from"
		}
		fmt.Fprintf(w, "  %s: %s %s %s/%d, last %s\n", what, way, or(s.Name, s.Peer.String()), s.Protocol, s.Port, ago(s.Last))
	}
}

type deviceRestoreCommand struct {
	Name       string   `arg:"" help:"The device."`
	Checked    string   `placeholder:"TEXT" help:"What was checked: system disk scanned offline, reinstalled from the vendor's medium, false alarm. The second person need not say it again."`
	Tool       string   `placeholder:"TEXT" help:"With what, and its version."`
	Signatures string   `placeholder:"VERSION" help:"Version of its signatures."`
	Dated      string   `placeholder:"DATE" help:"Date of the signatures, 2006-01-02."`
	Proof      []string `type:"existingfile" placeholder:"FILE" help:"A report; kept with its digest. May be given several times."`
	signed
	JSON bool `help:"One JSON object."`
}

func (c deviceRestoreCommand) Run(ctx context.Context, at place, std stdio) error {
	rq := containment.Restoring{Request: containment.Request{By: c.As, Reason: c.Reason}, Proof: contain.Proof{Checked: c.Checked, Tool: c.Tool, Signatures: c.Signatures}}
	if c.Dated != "" {
		at, err := time.Parse(time.DateOnly, c.Dated)
		if err != nil {
			return failure{2, fmt.Errorf("--dated %.20q: expected a date such as 2026-01-31", c.Dated)}
		}
		rq.Dated = at
	}
	if c.Checked == "" && len(c.Proof) > 0 {
		rq.Checked = c.Reason
	}
	for _, name := range c.Proof {
		data, err := os.ReadFile(name)
		if err != nil {
			return failure{2, err}
		}
		rq.Files = append(rq.Files, contain.Evidence{Name: filepath.Base(name), Data: data})
	}
	return withControl(ctx, at, func(control *control) error {
		var d custody.Decision
		if err := control.ask(ctx, http.MethodPost, devicePath(c.Name)+"/restore", rq, &d); err != nil {
			return err
		}
		switch {
		case c.JSON:
			return json.NewEncoder(std.out).Encode(d)
		case d.Done:
			fmt.Fprintf(std.out, "%s is restored; undo: cordon device contain %s\n", c.Name, c.Name)
		default:
			fmt.Fprintf(std.out, "%s; it stays contained until then\n", d.Waiting)
		}
		return nil
	})
}

type deviceExtendCommand struct {
	Name string `arg:"" help:"The device."`
	For  string `placeholder:"TIME" help:"For how long from now, such as 4h or 7d. Without it: until it is restored."`
	signed
}

func (c deviceExtendCommand) Run(ctx context.Context, at place, std stdio) error {
	return aboutContained(ctx, at, c.Name, "extend", containment.Request{By: c.As, Reason: c.Reason, For: c.For}, func(x contain.Containment) {
		fmt.Fprintf(std.out, "%s is contained until %s\n", x.Device, until(x))
	})
}

type deviceConfirmCommand struct {
	Name string `arg:"" help:"The device."`
	signed
}

func (c deviceConfirmCommand) Run(ctx context.Context, at place, std stdio) error {
	return aboutContained(ctx, at, c.Name, "confirm", containment.Request{By: c.As, Reason: c.Reason}, func(x contain.Containment) {
		fmt.Fprintf(std.out, "%s: %s, enforced: %s\n", x.Device, x.Level, enforced(x))
	})
}

type deviceDismissCommand struct {
	Name string `arg:"" help:"The device."`
	signed
}

func (c deviceDismissCommand) Run(ctx context.Context, at place, std stdio) error {
	return aboutContained(ctx, at, c.Name, "dismiss", containment.Request{By: c.As, Reason: c.Reason}, func(containment.Done) {
		fmt.Fprintf(std.out, "the proposal about %s is dismissed\n", c.Name)
	})
}

type deviceUnscannedCommand struct {
	Name string `arg:"" help:"The device."`
	signed
}

func (c deviceUnscannedCommand) Run(ctx context.Context, at place, std stdio) error {
	return aboutContained(ctx, at, c.Name, "pass", containment.Request{By: c.As, Reason: c.Reason}, func(n containment.Passed) {
		fmt.Fprintf(std.out, "%d objects of %s are on their way unscanned; they are judged again later\n", n.Objects, c.Name)
	})
}

// aboutContained posts a decision about a contained device.
func aboutContained[T any](ctx context.Context, at place, name, path string, rq containment.Request, done func(T)) error {
	return withControl(ctx, at, func(control *control) error {
		var answer T
		if err := control.ask(ctx, http.MethodPost, devicePath(name)+"/containment/"+path, rq, &answer); err != nil {
			return err
		}
		done(answer)
		return nil
	})
}

type deviceExportCommand struct {
	Name   string `arg:"" help:"The device."`
	Format string `default:"acl" enum:"acl,table,mud" help:"acl (extended access lists), table, or mud (RFC 8520)."`
	Level  string `default:"image_only" enum:"observe,image_only,cut" help:"How much it keeps."`
}

func (c deviceExportCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var x containment.Exported
		query := url.Values{"format": {c.Format}, "level": {c.Level}}
		if err := control.get(ctx, devicePath(c.Name)+"/containment/export?"+query.Encode(), &x); err != nil {
			return err
		}
		_, err := io.WriteString(std.out, x.Text)
		return err
	})
}

type firewallCommand struct {
	Status firewallStatusCommand `cmd:"" help:"The packet rules as the kernel has them, and what they count."`
	Apply  firewallApplyCommand  `cmd:"" help:"Write them again, after somebody else changed them."`
}

type firewallStatusCommand struct {
	JSON bool `help:"One JSON object."`
}

func (c firewallStatusCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var s firewall.State
		if err := control.get(ctx, "firewall", &s); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(s)
		}
		switch {
		case s.Why != "":
			fmt.Fprintf(std.out, "NOT as they should be: %s\n", s.Why)
		case s.Empty:
			fmt.Fprintln(std.out, "nothing is asked for: there is no table")
		default:
			fmt.Fprintf(std.out, "in place since %s\n", moment(s.Since))
		}
		table := newTable(std.out)
		for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
			fmt.Fprintf(table, "%s\t%d packets\t%d bytes\n", name, s.Counters[name].Packets, s.Counters[name].Bytes)
		}
		return table.Flush()
	})
}

type firewallApplyCommand struct{ signed }

func (c firewallApplyCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var s firewall.State
		if err := control.ask(ctx, http.MethodPost, "firewall/apply", containment.Request{By: c.As, Reason: c.Reason}, &s); err != nil {
			return err
		}
		fmt.Fprintln(std.out, "the rules are in place")
		return nil
	})
}
