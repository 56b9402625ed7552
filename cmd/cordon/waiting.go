package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"cordon/commitment"
	"cordon/custody"
	"cordon/mpps"
)

type commitmentCommand struct {
	List  commitmentListCommand  `cmd:"" help:"Requests for storage commitment that are not answered yet."`
	Retry commitmentRetryCommand `cmd:"" help:"Look or report again now; one that was given up gets another term."`
	Drop  commitmentDropCommand  `cmd:"" help:"End a request: its device is never told, and keeps its copies."`
}

type stepCommand struct {
	List  stepListCommand  `cmd:"" help:"Messages about procedure steps that wait for their archive."`
	Retry stepRetryCommand `cmd:"" help:"Send a message again now."`
	Drop  stepDropCommand  `cmd:"" help:"Delete a message that will never be taken."`
}

type (
	commitmentListCommand struct {
		JSON bool `help:"One JSON object a line."`
	}
	stepListCommand struct {
		JSON bool `help:"One JSON object a line."`
	}
	commitmentRetryCommand struct{ clerk }
	commitmentDropCommand  struct{ clerk }
	stepRetryCommand       struct{ clerk }
	stepDropCommand        struct{ clerk }
)

// Run lists the oldest first.
func (c commitmentListCommand) Run(ctx context.Context, at place, std stdio) error {
	const head = "ID\tSTATE\tDEVICE\tINSTANCES\tASKED\tUNTIL\tATTEMPTS\tLAST ERROR"
	return listWaiting(ctx, at, std, "commitment", c.JSON, head, func(w io.Writer, i commitment.Item) {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n", i.ID, i.State, printable(or(i.Device, i.CallingAE)), i.Instances,
			moment(i.AskedAt), moment(i.Until), i.Attempts, or(printable(i.Error), "-"))
	})
}

// Run lists what needs a person first.
func (c stepListCommand) Run(ctx context.Context, at place, std stdio) error {
	const head = "ID\tSTATE\tMESSAGE\tDEVICE\tARCHIVE\tINSTANCE\tKEPT\tATTEMPTS\tLAST ERROR"
	return listWaiting(ctx, at, std, "step", c.JSON, head, func(w io.Writer, i mpps.Item) {
		state := "waits"
		if i.Stuck {
			state = "refused"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", i.ID, state, i.Operation, printable(or(i.Device, i.CallingAE)), i.Upstream,
			printable(i.SOPInstanceUID), moment(i.KeptAt), i.Attempts, or(printable(i.Error), "-"))
	})
}

// listWaiting prints a list as a table, or as it came.
func listWaiting[T any](ctx context.Context, at place, std stdio, path string, asJSON bool, head string, row func(io.Writer, T)) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, path, func(line json.RawMessage) error {
		if asJSON {
			return encoder.Encode(line)
		}
		var one T
		if err := json.Unmarshal(line, &one); err != nil {
			return err
		}
		if n++; n == 1 {
			fmt.Fprintln(table, head)
		}
		row(table, one)
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !asJSON {
		fmt.Fprintln(std.out, "nothing waits")
	}
	return err
}

// clerk is who decides about something that waits.
type clerk struct {
	ID     string `arg:"" help:"The number that the list shows."`
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
	JSON   bool   `help:"One JSON object."`
}

// decide asks for it and says what became of it.
func (c clerk) decide(ctx context.Context, at place, std stdio, path, action, done string) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	p := person(c)
	var d custody.Decision
	if err := control.ask(ctx, http.MethodPost, path+"/"+url.PathEscape(c.ID)+"/"+action, p.request(), &d); err != nil {
		return err
	}
	p.report(std, d, done)
	return nil
}

// Run makes a request due now.
func (c commitmentRetryCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "commitment", "retry", "is tried again")
}

// Run ends a request without an answer.
func (c commitmentDropCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "commitment", "drop", "dropped")
}

// Run makes a message due now.
func (c stepRetryCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "step", "retry", "is sent again")
}

// Run deletes a message.
func (c stepDropCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.decide(ctx, at, std, "step", "drop", "dropped")
}
