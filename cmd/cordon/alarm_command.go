package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"cordon/alarm"
	"cordon/console/alarms"
	"cordon/notice"
)

type alarmCommand struct {
	List       alarmListCommand       `cmd:"" help:"What people must look at, the worst first."`
	Show       alarmShowCommand       `cmd:"" help:"One alarm: what it means, what to do, what was done."`
	Ack        alarmAckCommand        `cmd:"" help:"Say that you look at one: nobody else is called."`
	Assign     alarmAssignCommand     `cmd:"" help:"Say who is to see to one."`
	Snooze     alarmSnoozeCommand     `cmd:"" help:"Have one be quiet for a while; it comes back, and at once if it becomes worse."`
	Close      alarmCloseCommand      `cmd:"" help:"Say that one is done which does not end by itself."`
	Recipients alarmRecipientsCommand `cmd:"" help:"Who is told outside this machine, and whether that works."`
	Test       alarmTestCommand       `cmd:"" help:"Send a test to whom it may concern, and say what became of it."`
}

type alarmListCommand struct {
	Severity string `enum:"info,warning,critical" default:"info" help:"So bad or worse: ${enum}."`
	Kind     string `placeholder:"KIND" help:"Of a kind, or what several begin with (docs/alarms.md)."`
	History  bool   `help:"Instead, what is over: the last hundred."`
	JSON     bool   `help:"One JSON object a line."`
}

func (c alarmListCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		q := url.Values{"severity": {c.Severity}, "kind": {c.Kind}}
		if c.History {
			q.Set("history", "true")
		}
		table := newTable(std.out)
		if !c.JSON {
			fmt.Fprintln(table, "NO\tSEVERITY\tSTATE\tCOUNT\tFIRST\tLAST\tKIND\tWHAT")
		}
		now := time.Now()
		err := each(ctx, control, "alarms?"+q.Encode(), func(i alarm.Item) error {
			if c.JSON {
				return json.NewEncoder(std.out).Encode(i)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", i.ID, i.Severity, alarmState(i, now), i.Count, moment(i.First), moment(i.Last), i.Kind, printable(i.Text))
			return nil
		})
		table.Flush()
		return err
	})
}

// alarmState is how far people are with an alarm.
func alarmState(i alarm.Item, now time.Time) string {
	says := string(i.State)
	if i.Snoozed(now) {
		says = "snoozed until " + moment(i.SnoozedUntil)
	}
	if i.AssignedTo != "" {
		says += ", " + printable(i.AssignedTo)
	}
	return says
}

type alarmShowCommand struct {
	No   int64 `arg:"" help:"Of the list."`
	JSON bool  `help:"As JSON."`
}

func (c alarmShowCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var d alarms.Detail
		if err := control.get(ctx, fmt.Sprintf("alarms/%d", c.No), &d); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(d)
		}
		fmt.Fprintf(std.out, "%s\n%s, %s, %d times from %s to %s; %s\n\n%s\n%s\n", printable(d.Text), d.Severity, d.Kind, d.Count, moment(d.First), moment(d.Last), alarmState(d.Item, time.Now()), d.Means, d.Do)
		if len(d.Steps) > 0 {
			fmt.Fprintln(std.out)
		}
		table := newTable(std.out)
		for _, s := range d.Steps {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", moment(s.At), printable(s.By), printable(s.What), printable(s.Note))
		}
		return table.Flush()
	})
}

// alarmHandler is who does something about which alarm.
type alarmHandler struct {
	No   int64  `arg:"" help:"Of the list."`
	As   string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Note string `placeholder:"TEXT" help:"Recorded. Write no patient data."`
}

func (h alarmHandler) do(ctx context.Context, at place, std stdio, action string, rq alarms.Request) error {
	rq.By, rq.Note = h.As, h.Note
	return withControl(ctx, at, func(control *control) error {
		var i alarm.Item
		if err := control.ask(ctx, "POST", fmt.Sprintf("alarms/%d/%s", h.No, action), rq, &i); err != nil {
			return err
		}
		fmt.Fprintf(std.out, "alarm %d is %s\n", i.ID, alarmState(i, time.Now()))
		return nil
	})
}

type alarmAckCommand struct{ alarmHandler }

func (c alarmAckCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.do(ctx, at, std, "acknowledge", alarms.Request{})
}

type alarmAssignCommand struct {
	alarmHandler
	To string `placeholder:"NAME" help:"To whom; without it, to nobody any more."`
}

func (c alarmAssignCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.do(ctx, at, std, "assign", alarms.Request{To: c.To})
}

type alarmSnoozeCommand struct {
	alarmHandler
	For time.Duration `required:"" placeholder:"4h" help:"For how long; 31 days at the most."`
}

func (c alarmSnoozeCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.do(ctx, at, std, "snooze", alarms.Request{For: c.For.String()})
}

type alarmCloseCommand struct{ alarmHandler }

func (c alarmCloseCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.do(ctx, at, std, "close", alarms.Request{})
}

type alarmRecipientsCommand struct{}

func (alarmRecipientsCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		table := newTable(std.out)
		fmt.Fprintln(table, "NAME\tBY\tSTATE\tLAST TOLD")
		err := each(ctx, control, "alarms/recipients", func(s notice.State) error {
			says := "works"
			if !s.Failing.IsZero() {
				says = fmt.Sprintf("fails since %s: %s", moment(s.Failing), s.Error)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, s.Way, printable(says), moment(s.Sent))
			return nil
		})
		table.Flush()
		return err
	})
}

type alarmTestCommand struct {
	Name string `arg:"" optional:"" help:"Of a recipient (alarms.notify); all, if it is left out."`
}

func (c alarmTestCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		text, err := json.Marshal(alarms.TestRequest{Name: c.Name})
		if err != nil {
			return err
		}
		answer, err := control.send(ctx, "POST", "alarms/test", "application/json", strings.NewReader(string(text)))
		if err != nil {
			return err
		}
		defer answer.Close()
		told, failed := 0, 0
		for d := json.NewDecoder(answer); d.More(); told++ {
			var r notice.Result
			if err := d.Decode(&r); err != nil {
				return err
			}
			if r.Error == "" {
				fmt.Fprintf(std.out, "%s (%s): arrived\n", r.Name, r.Way)
				continue
			}
			failed++
			fmt.Fprintf(std.out, "%s (%s): %s\n", r.Name, r.Way, printable(r.Error))
		}
		switch {
		case told == 0:
			return failure{2, fmt.Errorf("nobody is told: no Cordon runs, or its configuration names nobody in alarms.notify (docs/alarms.md)")}
		case failed > 0:
			return failure{1, fmt.Errorf("%d of %d tests did not arrive", failed, told)}
		}
		return nil
	})
}
