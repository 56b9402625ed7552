package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"cordon/console"
	"cordon/deadman"
	"cordon/notify"
)

type deadmanCommand struct {
	Watch  deadmanWatchCommand  `cmd:"" help:"Watch Cordon, and lead its listener's connections to the archive while it is down. A service of its own."`
	List   deadmanListCommand   `cmd:"" help:"When images went past Cordon."`
	Review deadmanReviewCommand `cmd:"" help:"Record that what came in meanwhile was looked at."`
}

type deadmanWatchCommand struct{}

// Run watches until it is told to stop: 0; 2 if the configuration is wrong or does
// not ask for it; 1 if it cannot do its work now, as before names are resolved at
// the machine's start, or if the configuration has changed.
func (deadmanWatchCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	if config.Deadman == nil {
		return failure{2, errors.New("this site has not chosen a dead-man's bypass: the configuration has no deadman")}
	}
	log := logger(std)
	c, err := config.deadman(ctx)
	if err != nil {
		return err
	}
	table, err := deadman.NewTable(c.Listen, c.To)
	if err != nil {
		return err
	}
	manager, err := notify.Open(os.Getenv)
	if err != nil {
		return err
	}
	defer manager.Close()
	log.Info("watching", "listen", c.Listen, "archive", c.Archive, "to", c.To, "after", c.After)
	if err := manager.Ready(); err != nil {
		log.Warn("the service manager was not told", "error", err)
	}
	return deadman.Watch{Config: c, Path: table, Alive: alive(config.Data), Changed: config.rechosen(at), Log: log}.Run(ctx)
}

// rechosen reports whether the configuration says something else by now about the
// bypass. One that cannot be read says nothing.
func (c Config) rechosen(at place) func() bool {
	was, seen := c.deadmanChoice(), time.Time{}
	return func() bool {
		info, err := os.Stat(c.File)
		if err != nil || info.ModTime().Equal(seen) {
			return false
		}
		seen = info.ModTime()
		now, err := at.config()
		return err == nil && now.deadmanChoice() != was
	}
}

// deadmanChoice is all that the configuration says about the bypass, to compare.
func (c Config) deadmanChoice() string {
	if c.Deadman == nil {
		return ""
	}
	choice := fmt.Sprintf("%q %v %q %q", c.Deadman.Archive, c.Deadman.After, c.Gateway.Listen, c.Data)
	for _, a := range c.Archives {
		if a.Name == c.Deadman.Archive {
			choice += fmt.Sprintf(" %q", a.Address)
		}
	}
	return choice
}

// deadman resolves what the configuration names.
func (c Config) deadman(ctx context.Context) (deadman.Config, error) {
	out := deadman.Config{Dir: filepath.Join(c.Data, deadman.Folder), Archive: c.Deadman.Archive, After: c.Deadman.After}
	var err error
	if out.Listen, err = resolve(ctx, c.Gateway.Listen); err != nil {
		return out, fmt.Errorf("gateway.listen: %w", err)
	}
	for _, a := range c.Archives {
		if a.Name != c.Deadman.Archive {
			continue
		}
		if out.To, err = resolve(ctx, a.Address); err != nil {
			return out, fmt.Errorf("address of archive %s: %w", a.Name, err)
		}
	}
	return out, nil
}

// resolve looks a name up, once: rules have addresses. No host is any of this
// machine's.
func resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(number)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0].Unmap(), uint16(number)), nil
}

// alive asks the Cordon of a data directory whether it answers, whatever it
// answers: one that is well enough to turn people away is not down, nor is one that
// is busy. So it is asked for what there is not, which costs it nothing; one whose
// database hangs is the service manager's to end.
func alive(dir string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialControl(ctx, dir) },
	}}
	return func(ctx context.Context) error {
		rq, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cordon/alive", nil)
		if err != nil {
			return err
		}
		rsp, err := client.Do(rq)
		if err != nil {
			return err
		}
		return rsp.Body.Close()
	}
}

type deadmanListCommand struct {
	All  bool `help:"Also what was reviewed."`
	JSON bool `help:"One JSON object a line."`
}

func (c deadmanListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path := "deadman"
	if c.All {
		path += "?all=true"
	}
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, path, func(e deadman.Event) error {
		if c.JSON {
			return encoder.Encode(e)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "SINCE\tUNTIL\tARCHIVE\tFROM\tTO\tREVIEWED BY\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", moment(e.Since), or(moment(e.Until), "open"), printable(e.Archive), e.Listen, e.To, or(printable(e.By), "-"))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing went past Cordon that nobody has reviewed")
	}
	return err
}

type deadmanReviewCommand struct {
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"What was done; recorded. Write no patient data."`
	JSON   bool   `help:"One JSON object a line."`
}

func (c deadmanReviewCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	var done []deadman.Event
	err = control.ask(ctx, http.MethodPost, "deadman/review", console.DeadmanRequest{By: c.As, Reason: c.Reason}, &done)
	if closed := control.close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	for _, e := range done {
		if c.JSON {
			json.NewEncoder(std.out).Encode(e)
			continue
		}
		fmt.Fprintf(std.out, "reviewed: %s to %s, to archive %s\n", moment(e.Since), moment(e.Until), printable(e.Archive))
	}
	return nil
}

// watchPast puts on the ledger what the watcher has done.
func (d *daemon) watchPast(ctx context.Context) error { return d.parts.deadman.Run(ctx, d.log) }
