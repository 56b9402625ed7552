package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"cordon/console/network"
	"cordon/plan"
)

type planCommand struct {
	Show    planShowCommand    `cmd:"" help:"Who needs to talk to whom, what of it is used, and what would break."`
	Status  planStatusCommand  `cmd:"" help:"Which plan is applied, and how."`
	Hits    planHitsCommand    `cmd:"" help:"What the plan that is applied stopped, or in shadow would have stopped."`
	Shadow  planShadowCommand  `cmd:"" help:"Let everything pass, and count what the plan does not allow."`
	Enforce planEnforceCommand `cmd:"" help:"Drop what the plan does not allow; undone in two minutes unless it is confirmed."`
	Confirm planConfirmCommand `cmd:"" help:"Keep the plan enforced."`
	Off     planOffCommand     `cmd:"" help:"Take the plan out."`
}

type planShowCommand struct {
	JSON bool `help:"One JSON object."`
	NFT  bool `name:"nft" help:"As a table of nftables, for a firewall of your own."`
}

func (c planShowCommand) Run(ctx context.Context, at place, std stdio) error {
	var p plan.Plan
	if err := at.get(ctx, "plan", &p); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return json.NewEncoder(std.out).Encode(p)
	case c.NFT:
		return p.NFT(std.out)
	}
	return p.Text(std.out)
}

type planStatusCommand struct {
	JSON bool `help:"One JSON object."`
}

func (c planStatusCommand) Run(ctx context.Context, at place, std stdio) error {
	var s plan.State
	if err := at.get(ctx, "plan/state", &s); err != nil {
		return err
	}
	return printPlanState(std, s, c.JSON)
}

func printPlanState(std stdio, s plan.State, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	switch {
	case s.Mode == plan.Off:
		fmt.Fprintln(std.out, "no firewall plan is applied")
	case s.Mode == plan.Enforce && !s.Confirm.IsZero():
		fmt.Fprintf(std.out, "plan %s is enforced, and undone at %s unless somebody says that all is well: cordon plan confirm\n", s.Digest, moment(s.Confirm))
	default:
		fmt.Fprintf(std.out, "plan %s: %s since %s, by %s\n", s.Digest, map[plan.Mode]string{plan.Shadow: "in shadow", plan.Enforce: "enforced"}[s.Mode], moment(s.Since), printable(s.By))
	}
	if s.Current != "" && s.Mode != plan.Off && s.Current != s.Digest {
		fmt.Fprintf(std.out, "the register says otherwise now: plan %s (cordon plan show)\n", s.Current)
	}
	if s.Mode != plan.Off && !s.Applied && s.Why != "" {
		fmt.Fprintf(std.out, "the kernel does not have it: %s\n", printable(s.Why))
	}
	names := []string{}
	for name := range s.Counters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(std.out, "%s: %d packets\n", name, s.Counters[name].Packets)
	}
	return nil
}

type planHitsCommand struct {
	JSON bool `help:"One JSON object a line."`
}

func (c planHitsCommand) Run(ctx context.Context, at place, std stdio) error {
	if err := needsRunning(ctx, at); err != nil {
		return err
	}
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, "plan/hits", func(h plan.Hit) error {
		if c.JSON {
			return encoder.Encode(h)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "LAST\tTIMES\tZONE\tFROM\tTO\tWHAT\n")
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\n", moment(h.Last), h.Times, or(h.Zone, "-"), end(h.From.String(), h.Device), end(h.To.String(), h.Peer), plan.Service(h.Protocol, h.Port, 0))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing that the plan does not allow")
	}
	return err
}

// end writes an address, and whose it is.
func end(address, device string) string {
	if device == "" {
		return address
	}
	return address + " (" + printable(device) + ")"
}

// planOrder applies the plan that somebody has read.
type planOrder struct {
	Digest string `required:"" placeholder:"DIGEST" help:"Of the plan that you have read (cordon plan show)."`
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

func (c planOrder) apply(ctx context.Context, at place, std stdio, mode plan.Mode) error {
	if err := needsRunning(ctx, at); err != nil {
		return err
	}
	var s plan.State
	rq := network.PlanRequest{Mode: mode, Digest: c.Digest, From: cameFrom(os.Getenv("SSH_CONNECTION")), By: c.As, Reason: c.Reason}
	if err := at.post(ctx, "plan/apply", rq, &s); err != nil {
		return err
	}
	return printPlanState(std, s, c.JSON)
}

// cameFrom is the address that somebody is signed in from over SSH (sshd(8)), so
// that they are not shut out.
func cameFrom(connection string) string {
	if f := strings.Fields(connection); len(f) > 0 {
		return f[0]
	}
	return ""
}

type planShadowCommand struct{ planOrder }

func (c planShadowCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.apply(ctx, at, std, plan.Shadow)
}

type planEnforceCommand struct{ planOrder }

func (c planEnforceCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.apply(ctx, at, std, plan.Enforce)
}

// planDecision is one that needs no plan.
type planDecision struct {
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

func (c planDecision) decide(ctx context.Context, at place, std stdio, what string) error {
	if err := needsRunning(ctx, at); err != nil {
		return err
	}
	var s plan.State
	if err := at.post(ctx, "plan/"+what, network.Decision{By: c.As, Reason: c.Reason}, &s); err != nil {
		return err
	}
	return printPlanState(std, s, c.JSON)
}

type planConfirmCommand struct{ planDecision }

func (c planConfirmCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "confirm")
}

type planOffCommand struct{ planDecision }

func (c planOffCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "off")
}
