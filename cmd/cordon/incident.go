package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/console/incidents"
	"cordon/incident"
	"cordon/store"
)

type incidentCommand struct {
	List    incidentListCommand    `cmd:"" help:"Incidents, the latest first."`
	Show    incidentShowCommand    `cmd:"" help:"One story: what happened, who was told, what was imaged meanwhile."`
	Open    incidentOpenCommand    `cmd:"" help:"Open one by hand; containing a device opens its own."`
	Told    incidentToldCommand    `cmd:"" help:"Write down who was told."`
	Promise incidentPromiseCommand `cmd:"" help:"Write down when the vendor says that the device will be in order."`
	Note    incidentNoteCommand    `cmd:"" help:"Write a note into the story."`
	Close   incidentCloseCommand   `cmd:"" help:"Close one."`
	Export  incidentExportCommand  `cmd:"" help:"The story with proofs, as a ZIP archive."`
}

// signed is who says something, and why.
type signed struct {
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, or the note itself; recorded. Write no patient data."`
}

type incidentListCommand struct {
	Open bool `help:"Only those that nobody has closed."`
	JSON bool `help:"One JSON object a line."`
}

func (c incidentListCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		path := "incidents"
		if c.Open {
			path += "?open=true"
		}
		table := newTable(std.out)
		if !c.JSON {
			fmt.Fprintln(table, "NO\tDEVICE\tFIRST SIGN\tSTATE\tIMAGES MEANWHILE\tWHY")
		}
		err := each(ctx, control, path, func(n incident.Incident) error {
			if c.JSON {
				return json.NewEncoder(std.out).Encode(n)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%d, %s\t%s\n", n.ID, n.Device, moment(n.First), stateOf(n), n.Images.Made, allThere(n.Images), n.Why)
			return nil
		})
		table.Flush()
		return err
	})
}

func stateOf(n incident.Incident) string {
	switch {
	case !n.Closed.IsZero():
		return "closed"
	case n.Late(time.Now()):
		return "vendor is late"
	case !n.Restored.IsZero():
		return "restored"
	case !n.Contained.IsZero():
		return "contained"
	}
	return "open"
}

func allThere(m incident.Images) string {
	if m.AllThere() {
		return "all there"
	}
	return fmt.Sprintf("%d refused or destroyed", m.Made-m.Delivered-m.Spooled-m.Held)
}

type incidentShowCommand struct {
	ID   int64 `arg:"" help:"Its number."`
	JSON bool  `help:"One JSON object."`
}

func (c incidentShowCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var s incident.Story
		if err := control.get(ctx, fmt.Sprintf("incidents/%d", c.ID), &s); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(s)
		}
		printStory(std.out, s)
		return nil
	})
}

func printStory(w io.Writer, s incident.Story) {
	fmt.Fprintf(w, "incident %d: %s, %s\n", s.ID, s.Device, stateOf(s.Incident))
	if p := s.Promise; p != nil {
		fmt.Fprintf(w, "%s promised %s for %s\n", p.Vendor, p.What, p.Due.Format(time.DateOnly))
	}
	m := s.Images
	fmt.Fprintf(w, "images meanwhile: %d in %d studies; %d delivered, %d on their way, %d held, %d refused, %d destroyed\n\n", m.Made, m.Studies, m.Delivered, m.Spooled, m.Held, m.Refused, m.Destroyed)
	table := newTable(w)
	for _, e := range s.Events {
		fmt.Fprintf(table, "%s\t%s\t%s\n", e.At.Local().Format("2006-01-02 15:04:05.000"), e.Kind, e.Says)
	}
	table.Flush()
}

type incidentOpenCommand struct {
	Device string `arg:"" help:"Its name in the register."`
	signed
}

func (c incidentOpenCommand) Run(ctx context.Context, at place, std stdio) error {
	return saySo(ctx, at, std, "incidents", incidents.Request{Device: c.Device, By: c.As, Reason: c.Reason})
}

type incidentToldCommand struct {
	ID   int64  `arg:"" help:"Its number."`
	Whom string `required:"" placeholder:"NAME" help:"The vendor's service, the ward, the regulator."`
	How  string `required:"" placeholder:"TEXT" help:"By telephone, by e-mail."`
	signed
}

func (c incidentToldCommand) Run(ctx context.Context, at place, std stdio) error {
	return saySo(ctx, at, std, fmt.Sprintf("incidents/%d/told", c.ID), incidents.Request{Whom: c.Whom, How: c.How, By: c.As, Reason: c.Reason})
}

type incidentPromiseCommand struct {
	ID     int64  `arg:"" help:"Its number."`
	Vendor string `required:"" placeholder:"NAME" help:"Who promised."`
	What   string `required:"" placeholder:"TEXT" help:"A patch, a visit, a new disk."`
	Due    string `required:"" placeholder:"DAY" help:"For when, such as 2030-01-31."`
	signed
}

func (c incidentPromiseCommand) Run(ctx context.Context, at place, std stdio) error {
	return saySo(ctx, at, std, fmt.Sprintf("incidents/%d/promise", c.ID), incidents.Request{Vendor: c.Vendor, What: c.What, Due: c.Due, By: c.As, Reason: c.Reason})
}

type incidentNoteCommand struct {
	ID int64 `arg:"" help:"Its number."`
	signed
}

func (c incidentNoteCommand) Run(ctx context.Context, at place, std stdio) error {
	return saySo(ctx, at, std, fmt.Sprintf("incidents/%d/note", c.ID), incidents.Request{By: c.As, Reason: c.Reason})
}

type incidentCloseCommand struct {
	ID int64 `arg:"" help:"Its number."`
	signed
}

func (c incidentCloseCommand) Run(ctx context.Context, at place, std stdio) error {
	return saySo(ctx, at, std, fmt.Sprintf("incidents/%d/close", c.ID), incidents.Request{By: c.As, Reason: c.Reason})
}

// saySo posts what a person says.
func saySo(ctx context.Context, at place, std stdio, path string, rq incidents.Request) error {
	return withControl(ctx, at, func(control *control) error {
		var done incidents.Done
		if err := control.ask(ctx, http.MethodPost, path, rq, &done); err != nil {
			return err
		}
		fmt.Fprintln(std.out, "recorded")
		return nil
	})
}

type incidentExportCommand struct {
	ID  int64  `arg:"" help:"Its number."`
	Out string `short:"o" required:"" placeholder:"FILE" help:"Where to write it; a file that is there is not overwritten."`
	signed
}

func (c incidentExportCommand) Run(ctx context.Context, at place, std stdio) error {
	if _, err := os.Stat(c.Out); err == nil {
		return fmt.Errorf("%s is there already; choose another name", c.Out)
	}
	return withControl(ctx, at, func(control *control) error {
		body, err := control.do(ctx, http.MethodPost, fmt.Sprintf("incidents/%d/export", c.ID), incidents.Request{By: c.As, Reason: c.Reason})
		if err != nil {
			return err
		}
		defer body.Close()
		var text strings.Builder
		if _, err := io.Copy(&text, body); err != nil {
			return err
		}
		return store.WriteFile(c.Out, []byte(text.String()), 0o600)
	})
}

// withControl runs fn with the Cordon that a command is about.
func withControl(ctx context.Context, at place, fn func(*control) error) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	err = fn(control)
	if closed := control.close(); err == nil {
		err = closed
	}
	return err
}

// overdue has what vendors owe be an alarm until it is there.
func (d *daemon) overdue(ctx context.Context, all []incident.Overdue) {
	var now []alarm.Alarm
	for _, o := range all {
		now = append(now, alarm.Alarm{Kind: "incident.overdue", Subject: o.Incident.Device, Text: o.Says, Link: fmt.Sprintf("/incidents/%d", o.Incident.ID)})
	}
	if err := d.parts.alarms.Sync(ctx, "incident", now); err != nil {
		d.log.Error("alarms about incidents", "error", err)
	}
}
