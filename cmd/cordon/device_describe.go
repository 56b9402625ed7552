package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"cordon/asset"
	"cordon/console/device"
)

type deviceDescribeCommand struct {
	Name         string   `arg:"" help:"The device, as device list shows it."`
	Owner        *string  `placeholder:"TEXT" help:"The department, or who answers for it."`
	Vendor       *string  `placeholder:"TEXT" help:"Who made it."`
	Model        *string  `placeholder:"TEXT" help:"The model."`
	Modality     *string  `placeholder:"CODE" help:"CT, MR, US, …"`
	Serial       *string  `placeholder:"TEXT" help:"The serial number."`
	Location     *string  `placeholder:"TEXT" help:"Where it stands."`
	Criticality  *string  `placeholder:"LEVEL" help:"What it costs when it stands still: low, normal, high or life."`
	OS           *string  `name:"os" placeholder:"TEXT" help:"The operating system."`
	Software     []string `placeholder:"TEXT" help:"A program with its version; may be given again."`
	Zone         *string  `placeholder:"NAME" help:"Of the network."`
	VendorAccess *string  `placeholder:"TEXT" help:"How its vendor reaches it."`
	Antivirus    *string  `placeholder:"TEXT" help:"The engine on it."`
	Note         *string  `placeholder:"TEXT" help:"Anything else."`
	As           string   `placeholder:"NAME" help:"Who you are; recorded. Without --as and --reason what is known is shown."`
	Reason       string   `placeholder:"TEXT" help:"Why; recorded."`
	JSON         bool     `help:"One JSON object."`
}

// Run shows what people say that a device is, or says it. What is not given stays as
// it is.
func (c deviceDescribeCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var v asset.Inventory
	path := devicePath(c.Name) + "/inventory"
	if err := control.get(ctx, path, &v); err != nil {
		return err
	}
	if changed := c.change(&v); changed {
		rq := device.Description{By: c.As, Reason: c.Reason, Inventory: v}
		if err := control.ask(ctx, http.MethodPost, path, rq, &v); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(v)
	}
	printInventory(std.out, c.Name, v)
	return nil
}

// change puts what was given into an inventory, and reports whether that was
// anything.
func (c deviceDescribeCommand) change(v *asset.Inventory) (changed bool) {
	for _, f := range []struct {
		given *string
		into  *string
	}{
		{c.Owner, &v.Owner}, {c.Vendor, &v.Vendor}, {c.Model, &v.Model}, {c.Modality, &v.Modality}, {c.Serial, &v.Serial}, {c.Location, &v.Location},
		{c.Criticality, (*string)(&v.Criticality)}, {c.OS, &v.OS}, {c.Zone, &v.Zone}, {c.VendorAccess, &v.VendorAccess}, {c.Antivirus, &v.Antivirus}, {c.Note, &v.Note},
	} {
		if f.given != nil {
			*f.into, changed = *f.given, true
		}
	}
	if len(c.Software) > 0 {
		v.Software, changed = c.Software, true
	}
	return changed
}

func printInventory(w io.Writer, name string, v asset.Inventory) {
	fmt.Fprintf(w, "%s\n", name)
	t := newTable(w)
	for _, f := range [][2]string{
		{"owner", v.Owner}, {"vendor", v.Vendor}, {"model", v.Model}, {"modality", v.Modality}, {"serial", v.Serial}, {"location", v.Location},
		{"criticality", string(v.Criticality)}, {"os", v.OS}, {"software", strings.Join(v.Software, "; ")}, {"zone", v.Zone},
		{"vendor access", v.VendorAccess}, {"antivirus", v.Antivirus}, {"note", v.Note},
	} {
		if f[1] != "" {
			fmt.Fprintf(t, "  %s\t%s\n", f[0], printable(f[1]))
		}
	}
	t.Flush()
}

type deviceFlowsCommand struct {
	Name   string `arg:"" help:"The device, as device list shows it."`
	From   string `placeholder:"FILE" help:"What it talks to, one a line: PURPOSE PROTOCOL [PORT[-PORT]] [ADDRESS,…] [needed] [inbound] [# NOTE]; in the place of what people declared before. - is standard input."`
	As     string `placeholder:"NAME" help:"With --from: who you are; recorded."`
	Reason string `placeholder:"TEXT" help:"With --from: why; recorded."`
	JSON   bool   `help:"One JSON object a line."`
}

// Run shows what a device is declared to talk to, or declares it.
func (c deviceFlowsCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path := devicePath(c.Name) + "/flows"
	if c.From != "" {
		text, err := readInput(c.From)
		if err != nil {
			return err
		}
		flows, err := device.ReadFlows(string(text))
		if err != nil {
			return failure{2, fmt.Errorf("%s: %w", c.From, err)}
		}
		var now []asset.Flow
		if err := control.ask(ctx, http.MethodPost, path, device.Flows{By: c.As, Reason: c.Reason, Flows: flows}, &now); err != nil {
			return err
		}
	}
	encoder, t, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, path, func(f asset.Flow) error {
		if c.JSON {
			return encoder.Encode(f)
		}
		if n++; n == 1 {
			fmt.Fprint(t, "SOURCE\tFLOW\n")
		}
		fmt.Fprintf(t, "%s\t%s\n", f.Source, printable(device.WriteFlow(f)))
		return nil
	})
	t.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing is declared")
	}
	return err
}

// maxInput bounds a file that is read whole, in bytes.
const maxInput = 4 << 20

// readInput reads a file, or standard input.
func readInput(path string) ([]byte, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, failure{2, err}
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = failure{2, fmt.Errorf("%s: more than %d bytes", path, maxInput)}
	}
	return text, err
}

type deviceImportCommand struct {
	File   string `arg:"" help:"CSV in UTF-8, the columns of device table; - is standard input."`
	Apply  bool   `help:"Change it; else it is only shown what would change."`
	As     string `placeholder:"NAME" help:"With --apply: who you are; recorded."`
	Reason string `placeholder:"TEXT" help:"With --apply: why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

// Run shows what a table of devices changes, row by row, or changes it.
func (c deviceImportCommand) Run(ctx context.Context, at place, std stdio) error {
	text, err := readInput(c.File)
	if err != nil {
		return err
	}
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var out device.Import
	if err := control.ask(ctx, http.MethodPost, "register", device.Table{By: c.As, Reason: c.Reason, Apply: c.Apply, CSV: string(text)}, &out); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(out)
	} else {
		printImport(std.out, c.File, out)
	}
	if err == nil && len(out.Faults) > 0 {
		err = failure{2, errors.New("the file has faults: nothing was changed")}
	}
	return err
}

func printImport(w io.Writer, file string, out device.Import) {
	for _, f := range out.Faults {
		fmt.Fprintf(w, "%s:%d:%d: %s\n", file, f.Line, f.Column, printable(f.Says))
	}
	for _, c := range out.Changes {
		for _, f := range c.Fields {
			fmt.Fprintf(w, "line %d: %s: %s: %q becomes %q\n", c.Line, printable(c.Device), f.Name, printable(f.Was), printable(f.Is))
		}
	}
	switch {
	case len(out.Faults) > 0:
	case out.Applied:
		fmt.Fprintf(w, "%d of %d devices changed\n", len(out.Changes), out.Devices)
	case len(out.Changes) > 0:
		fmt.Fprintf(w, "%d of %d devices would change; to change them: --apply --as NAME --reason TEXT\n", len(out.Changes), out.Devices)
	default:
		fmt.Fprintf(w, "%d devices, nothing to change\n", out.Devices)
	}
}

type deviceTableCommand struct{}

// Run writes the table of all devices.
func (deviceTableCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	table, err := control.do(ctx, http.MethodGet, "register", nil)
	if err != nil {
		return err
	}
	defer table.Close()
	_, err = io.Copy(std.out, table)
	return err
}
