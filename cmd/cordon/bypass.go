package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"cordon/bypass"
	"cordon/console"
)

type bypassCommand struct {
	On     bypassOnCommand     `cmd:"" help:"Deliver whatever is found, for a while; it is judged again afterwards."`
	Off    bypassOffCommand    `cmd:"" help:"End it now."`
	Status bypassStatusCommand `cmd:"" help:"What is bypassed, by whom, until when."`
}

type bypassOnCommand struct {
	For    time.Duration `required:"" placeholder:"TIME" help:"For how long, such as 30m; at most 8h."`
	As     string        `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string        `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
	Device string        `placeholder:"NAME" help:"Only the device of this name or AE title."`
	JSON   bool          `help:"One JSON object."`
}

// Run asks; the answer comes once the ledger has it.
func (c bypassOnCommand) Run(ctx context.Context, at place, std stdio) error {
	var one bypass.Bypass
	rq := console.BypassRequest{Device: c.Device, For: c.For.String(), By: c.As, Reason: c.Reason}
	if err := postBypass(ctx, at, "bypass", rq, &one); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(one)
	}
	fmt.Fprintf(std.out, "inspection is bypassed for %s until %s; what passes is judged again afterwards\n", bypass.Scope(one.Device), moment(one.Until))
	return nil
}

type bypassOffCommand struct {
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Device string `placeholder:"NAME" help:"Only the bypass of this device; else every one."`
	JSON   bool   `help:"One JSON object a line."`
}

func (c bypassOffCommand) Run(ctx context.Context, at place, std stdio) error {
	var ended []bypass.Bypass
	if err := postBypass(ctx, at, "bypass/off", console.BypassRequest{Device: c.Device, By: c.As}, &ended); err != nil {
		return err
	}
	for _, one := range ended {
		if c.JSON {
			json.NewEncoder(std.out).Encode(one)
			continue
		}
		fmt.Fprintf(std.out, "the bypass for %s has ended\n", bypass.Scope(one.Device))
	}
	return nil
}

func postBypass(ctx context.Context, at place, path string, rq console.BypassRequest, answer any) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	err = control.ask(ctx, http.MethodPost, path, rq, answer)
	if closed := control.close(); err == nil {
		err = closed
	}
	return err
}

type bypassStatusCommand struct {
	JSON bool `help:"One JSON object a line."`
}

func (c bypassStatusCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	n := 0
	err = each(ctx, control, "bypass", func(one bypass.Bypass) error {
		n++
		if c.JSON {
			return json.NewEncoder(std.out).Encode(one)
		}
		fmt.Fprintf(std.out, "%s: since %s, until %s, by %s: %s\n", printable(bypass.Scope(one.Device)), moment(one.Since), moment(one.Until), printable(one.By), printable(one.Reason))
		return nil
	})
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "inspection is not bypassed")
	}
	return err
}
