package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"cordon/console"
	"cordon/exception"
)

type exceptionCommand struct {
	List    exceptionListCommand    `cmd:"" help:"What is proposed, approved, expired and revoked."`
	Approve exceptionApproveCommand `cmd:"" help:"Deliver the device's objects in spite of the finding, from the next one on."`
	Revoke  exceptionRevokeCommand  `cmd:"" help:"Hold the device's objects for the finding again, or decline a proposal."`
	Propose exceptionProposeCommand `cmd:"" help:"Say that a finding is a device's habit; somebody approves it."`
}

type exceptionListCommand struct {
	JSON bool `help:"One JSON object a line."`
}

// Run lists the oldest first.
func (c exceptionListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, "exceptions", func(e exception.Exception) error {
		if c.JSON {
			return encoder.Encode(e)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "ID\tSTATE\tDEVICE\tFINDING\tPLACE\tSEEN\tLAST SEEN\tEXPIRES\tEXAMPLE\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.ID, e.State, printable(deviceOf(e)), e.Finding, or(printable(e.Place), "anywhere"),
			e.Seen, or(moment(e.LastSeen), "-"), or(moment(e.Expires), "-"), or(e.Example, "-"))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing")
	}
	return err
}

// deviceOf names the device that an exception is about.
func deviceOf(e exception.Exception) string {
	return or(e.Device, e.CallingAE+"@"+e.Address)
}

// decider is who decides on an exception, and why.
type decider struct {
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
	JSON   bool   `help:"One JSON object."`
}

// post asks for an action and says what became of the exception.
func (d decider) post(ctx context.Context, at place, std stdio, path string, rq console.ExceptionRequest) error {
	rq.By, rq.Reason = d.As, d.Reason
	c, err := at.control(ctx)
	if err != nil {
		return err
	}
	var e exception.Exception
	err = c.ask(ctx, http.MethodPost, path, rq, &e)
	if closed := c.close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
	case d.JSON:
		err = json.NewEncoder(std.out).Encode(e)
	default:
		fmt.Fprintln(std.out, says(e))
	}
	return err
}

// says is what the exception means now, in a sentence.
func says(e exception.Exception) string {
	what := fmt.Sprintf("%s in %s of %s", e.Finding, or(printable(e.Place), "any place"), printable(deviceOf(e)))
	switch e.State {
	case exception.Approved:
		return fmt.Sprintf("%s: %s holds no object until %s", e.ID, what, e.Expires.Local().Format(time.DateOnly))
	case exception.Proposed:
		return fmt.Sprintf("%s: %s is proposed; it applies once somebody approves it: cordon exception approve %s --as NAME --reason TEXT", e.ID, what, e.ID)
	}
	return fmt.Sprintf("%s: %s holds objects again", e.ID, what)
}

type exceptionApproveCommand struct {
	ID   string `arg:"" help:"The exception, as exception list shows it."`
	Days int    `default:"365" help:"How long it lasts, 1 to 365."`
	decider
}

func (c exceptionApproveCommand) Run(ctx context.Context, at place, std stdio) error {
	if c.Days < 1 {
		return failure{2, fmt.Errorf("--days %d: expected 1 to 365", c.Days)}
	}
	return c.post(ctx, at, std, exceptionPath(c.ID)+"/approve", console.ExceptionRequest{Days: c.Days})
}

type exceptionRevokeCommand struct {
	ID string `arg:"" help:"The exception, as exception list shows it."`
	decider
}

func (c exceptionRevokeCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.post(ctx, at, std, exceptionPath(c.ID)+"/revoke", console.ExceptionRequest{})
}

type exceptionProposeCommand struct {
	Device  string `placeholder:"NAME" help:"A declared device."`
	Calling string `placeholder:"AE" help:"Or a learned one: its calling AE title,"`
	Address string `placeholder:"IP" help:"and its address."`
	Finding string `required:"" placeholder:"ID" help:"The finding, as vault show names it."`
	Place   string `placeholder:"PATH" help:"Where: a tag path such as (0009,1010); without it, anywhere."`
	decider
}

func (c exceptionProposeCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.post(ctx, at, std, "exceptions", console.ExceptionRequest{
		Device: c.Device, CallingAE: c.Calling, Address: c.Address, Finding: c.Finding, Place: c.Place,
	})
}

func exceptionPath(id string) string { return "exceptions/" + url.PathEscape(id) }
