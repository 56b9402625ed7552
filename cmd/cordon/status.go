package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cordon/console"
)

type statusCommand struct {
	JSON      bool   `help:"One JSON object."`
	Reconcile bool   `help:"Instead: account now for everything that was acknowledged; ask the archives whether they have it."`
	GiveUp    bool   `name:"give-up" help:"With --reconcile: end the alarms about what is missing, with --as and --reason."`
	As        string `placeholder:"NAME" help:"With --give-up: who you are; recorded."`
	Reason    string `placeholder:"TEXT" help:"With --give-up: why; recorded. Write no patient data."`
}

// Run asks the Cordon that runs on the data directory: 0 if all is well, 1 if
// somebody must look, 2 if none runs or it accepts no associations.
func (c statusCommand) Run(ctx context.Context, at place, std stdio) error {
	if c.Reconcile {
		return c.reconcile(ctx, at, std)
	}
	s, err := runningStatus(ctx, at)
	if err != nil {
		return err
	}
	if c.JSON {
		json.NewEncoder(std.out).Encode(s)
	} else {
		printStatus(std.out, s)
	}
	switch s.Level {
	case console.Well:
		return nil
	case console.Degraded:
		return failure{1, nil}
	}
	return failure{2, nil}
}

func runningStatus(ctx context.Context, at place) (console.Status, error) {
	config, err := at.config()
	if err != nil {
		return console.Status{}, err
	}
	conn, err := dialControl(ctx, config.Data)
	if errors.Is(err, errNotRunning) {
		return console.Status{
			Level: console.Down,
			Says:  []string{fmt.Sprintf("No Cordon is running on %s; start it with cordon up.", config.Data)},
			Site:  config.Site, Version: version,
		}, nil
	}
	if err != nil {
		return console.Status{}, failure{2, err}
	}
	conn.Close()
	control, err := at.control(ctx)
	if err != nil {
		return console.Status{}, err
	}
	defer control.close()
	var s console.Status
	if err := control.get(ctx, "status", &s); err != nil {
		return s, failure{2, err}
	}
	return s, nil
}

func printStatus(w io.Writer, s console.Status) {
	for _, sentence := range s.Says {
		fmt.Fprintln(w, sentence)
	}
	if s.Since.IsZero() {
		return // none runs
	}
	fmt.Fprintf(w, "\n%s, up since %s; since then %d received, %d delivered, %d held, %d kept for later, %d refused; %s open, %d rejected\n",
		s.Site, s.Since.Local().Format(time.DateTime),
		s.Objects.Received, s.Objects.Delivered, s.Objects.Held, s.Objects.Spooled, s.Objects.Refused,
		count(s.Associations, "association"), s.Objects.Rejected)
	t := newTable(w)
	fmt.Fprint(t, "\nARCHIVE\tSTATE\tAE TITLE\tADDRESS\tWAITING\tOLDEST\tLAST DELIVERED\n")
	for _, a := range s.Archives {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", a.Name, archiveState(a), or(a.AETitle, "-"), or(a.Address, "-"), a.Queued, since(a.OldestQueued), since(a.LastDelivered))
	}
	fmt.Fprint(t, "\nDEVICE\tAE TITLE\tADDRESS\tOBJECTS\tHELD\tLAST SEEN\n")
	for _, d := range s.Devices {
		name := d.Name
		if d.Learned {
			name = "(learned)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", name, printable(d.AETitle), or(d.Address, "-"), d.Objects, d.Held, ago(d.LastSeen))
	}
	if len(s.Engines) > 0 {
		fmt.Fprint(t, "\nENGINE\tSTATE\tSIGNATURES\tMADE\n")
		for _, e := range s.Engines {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Name, engineState(e), or(printable(e.Signatures), "-"), made(e))
		}
	}
	if len(s.Audit) > 0 {
		fmt.Fprint(t, "\nAUDIT REPOSITORY\tSTATE\tWAITING\tOLDEST\n")
		for _, r := range s.Audit {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", r.Name, repositoryState(r), r.Waiting, oldest(r))
		}
	}
	t.Flush()
}

func repositoryState(r console.Repository) string {
	if r.Up {
		return "takes messages"
	}
	return "away: " + printable(r.Error)
}

// oldest is how long the first record that a repository does not have has
// waited, if it is known.
func oldest(r console.Repository) string {
	if r.Oldest.IsZero() {
		return "-"
	}
	return ago(r.Oldest)
}

func engineState(e console.Engine) string {
	if e.Up {
		return "answers"
	}
	return "away: " + printable(e.Error)
}

// made is the age of an engine's signatures, if it says when they were made.
func made(e console.Engine) string {
	if e.SignaturesAt.IsZero() {
		return "-"
	}
	return ago(e.SignaturesAt)
}

func archiveState(a console.Archive) string {
	switch {
	case a.Up && !a.Asked:
		return "not asked yet"
	case a.Up:
		return "answers"
	}
	return "away: " + printable(strings.TrimPrefix(a.LastError, "archive "+a.Name+": "))
}

func since(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return ago(*t)
}
