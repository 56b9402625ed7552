package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"cordon/console/network"
	"cordon/custody"
	"cordon/transparent"
)

type transparentCommand struct {
	On     transparentOnCommand     `cmd:"" help:"Lead connections to archives here on their way (gateway.transparent)."`
	Off    transparentOffCommand    `cmd:"" help:"Undo that, exactly."`
	Status transparentStatusCommand `cmd:"" help:"Whether it is on, and works."`
}

type transparentOnCommand struct {
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

func (c transparentOnCommand) Run(ctx context.Context, at place, std stdio) error {
	running, err := at.running(ctx)
	if err != nil {
		return err
	}
	if running == nil {
		return failure{2, fmt.Errorf("no Cordon runs that could take what is led to it: start it with cordon up")}
	}
	running.close()
	return turnTransparent(ctx, at, std, "on", network.Decision{By: c.As, Reason: c.Reason}, c.JSON)
}

type transparentOffCommand struct {
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

// Run asks the Cordon that runs; where none does, it undoes what the last one left
// in the kernel, and leaves what else there is of Cordon's rules as it is.
func (c transparentOffCommand) Run(ctx context.Context, at place, std stdio) error {
	running, err := at.running(ctx)
	if err != nil {
		return err
	}
	if running == nil {
		return c.alone(ctx, at, std)
	}
	running.close()
	return turnTransparent(ctx, at, std, "off", network.Decision{By: c.As, Reason: c.Reason}, c.JSON)
}

func (c transparentOffCommand) alone(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err == nil {
		err = hasData(config)
	}
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	p, err := openParts(ctx, config, log)
	if err != nil {
		return failure{2, err}
	}
	err = p.startFirewall(ctx, log)
	var s transparent.State
	if err == nil {
		s, err = p.transparent.Off(ctx, custody.Request{By: c.As, Reason: c.Reason})
	}
	if err = errors.Join(err, p.close()); err != nil {
		return err
	}
	return printTransparent(std, s, c.JSON)
}

func turnTransparent(ctx context.Context, at place, std stdio, to string, rq network.Decision, asJSON bool) error {
	var s transparent.State
	if err := at.post(ctx, "transparent/"+to, rq, &s); err != nil {
		return err
	}
	return printTransparent(std, s, asJSON)
}

// post asks for one thing and decodes the answer.
func (p place) post(ctx context.Context, path string, rq, to any) error {
	control, err := p.control(ctx)
	if err != nil {
		return err
	}
	err = control.ask(ctx, http.MethodPost, path, rq, to)
	if closed := control.close(); err == nil {
		err = closed
	}
	return err
}

// get asks for one thing.
func (p place) get(ctx context.Context, path string, to any) error {
	control, err := p.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	return control.get(ctx, path, to)
}

type transparentStatusCommand struct {
	JSON bool `help:"One JSON object."`
}

// Run is 0 if it is off, or on and works; 1 if it is on and does not.
func (c transparentStatusCommand) Run(ctx context.Context, at place, std stdio) error {
	var s transparent.State
	if err := at.get(ctx, "transparent", &s); err != nil {
		return err
	}
	if err := printTransparent(std, s, c.JSON); err != nil || !s.On || s.Works {
		return err
	}
	return failure{1, nil}
}

func printTransparent(std stdio, s transparent.State, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	switch {
	case !s.On:
		fmt.Fprintln(std.out, "transparent mode is off: no connection is led here")
	case s.Works:
		fmt.Fprintf(std.out, "transparent mode is on since %s, by %s: connections of %s to %s are led here; without Cordon they %s\n",
			moment(s.Since), printable(s.By), strings.Join(s.From, ", "), strings.Join(s.Archives, ", "), map[string]string{"remove": "go straight to the archive", "stop": "are dropped"}[s.WhenDead])
	default:
		fmt.Fprintf(std.out, "transparent mode is on since %s, by %s, and does not work: %s\n", moment(s.Since), printable(s.By), printable(or(s.Error, "no Cordon runs")))
	}
	return nil
}
