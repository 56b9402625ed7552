package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"cordon/console"
	"cordon/custody"
	"cordon/rescan"
)

type recallCommand struct {
	List recallListCommand `cmd:"" help:"What was delivered before it was found harmful."`
	Done recallDoneCommand `cmd:"" help:"Record that it was dealt with."`
}

type recallListCommand struct {
	All  bool `help:"Also what was dealt with."`
	JSON bool `help:"One JSON object a line."`
}

// Run lists the oldest first.
func (c recallListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path := "recall"
	if c.All {
		path += "?all=true"
	}
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, path, func(line json.RawMessage) error {
		if c.JSON {
			return encoder.Encode(line) // as it came
		}
		var r console.Recall
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if n++; n == 1 {
			fmt.Fprint(table, "ID\tDELIVERED\tFROM\tARCHIVE\tSTUDY\tINSTANCE\tFOUND\tEVIDENCE\tDONE BY\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, moment(r.ReceivedAt), printable(or(r.Device, r.CallingAE)), r.Archive,
			printable(r.StudyInstanceUID), printable(r.SOPInstanceUID), printable(r.Reason), or(r.VaultID, "-"), or(printable(r.DoneBy), "-"))
		return nil
	})
	table.Flush()
	if err != nil || c.JSON {
		return err
	}
	return c.rest(ctx, control, std, n)
}

// rest says what the list does not name.
func (c recallListCommand) rest(ctx context.Context, control *control, std stdio, listed int) error {
	var s console.Status
	if err := control.get(ctx, "status", &s); err != nil {
		return err
	}
	switch lost := s.Rescan.NotRescannable; {
	case lost > 0:
		fmt.Fprintf(std.out, "\n%d delivered unscanned and not rescannable; the ledger names each (object.not_rescannable).\nAcknowledge: cordon recall done %s --as NAME --reason TEXT\n",
			lost, rescan.NotRescannable)
	case listed == 0:
		fmt.Fprintln(std.out, "nothing")
	}
	return nil
}

type recallDoneCommand struct{ person }

// Run records who dealt with it, and how.
func (c recallDoneCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var d custody.Decision
	if err := control.ask(ctx, http.MethodPost, "recall/"+url.PathEscape(c.ID)+"/done", c.request(), &d); err != nil {
		return err
	}
	c.report(std, d, "recorded as dealt with")
	return nil
}
