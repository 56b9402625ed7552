package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cordon/console/network"
	"cordon/ticket"
)

type ticketCommand struct {
	Open    ticketOpenCommand    `cmd:"" help:"Let a laptop, a unit on trial, a vendor or a remote service in, for a time."`
	List    ticketListCommand    `cmd:"" help:"Who is let in."`
	Show    ticketShowCommand    `cmd:"" help:"One ticket, with everything that is known of it."`
	Approve ticketApproveCommand `cmd:"" help:"Agree to one, as the second person."`
	Confirm ticketConfirmCommand `cmd:"" help:"Say that you are there, as the sponsor of a remote service."`
	Extend  ticketExtendCommand  `cmd:"" help:"Make one last so long from now, as its sponsor."`
	Close   ticketCloseCommand   `cmd:"" help:"End one now."`
}

type ticketOpenCommand struct {
	Kind        string        `required:"" placeholder:"KIND" enum:"laptop,evaluation,vendor,remote" help:"laptop, evaluation, vendor or remote."`
	Sponsor     string        `required:"" placeholder:"NAME" help:"Who of this hospital answers for the visitor."`
	Visitor     string        `placeholder:"TEXT" help:"Who comes: the person, the firm."`
	Purpose     string        `required:"" placeholder:"TEXT" help:"What for; recorded. Write no patient data."`
	Address     string        `placeholder:"IP" help:"The address of the visitor's machine."`
	MAC         string        `name:"mac" placeholder:"MAC" help:"Its hardware address; else the one that has the address."`
	To          []string      `placeholder:"DEVICE:PORT" help:"What it may reach: DEVICE:PORT, DEVICE:PORT/udp, DEVICE:PORT-PORT; repeat it. \"gateway\" is this machine."`
	Declaration string        `placeholder:"FILE" help:"What its owner declares in writing; kept encrypted."`
	Inspected   string        `placeholder:"FILE" help:"What cordon import --json said of its media; kept encrypted."`
	For         time.Duration `required:"" placeholder:"TIME" help:"For how long, such as 4h."`
	As          string        `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason      string        `placeholder:"TEXT" help:"What else there is to say; recorded."`
	JSON        bool          `help:"One JSON object."`
}

func (c ticketOpenCommand) Run(ctx context.Context, at place, std stdio) error {
	rq := network.TicketRequest{
		Kind: ticket.Kind(c.Kind), Sponsor: c.Sponsor, Visitor: c.Visitor, Purpose: c.Purpose, Address: c.Address, MAC: c.MAC, To: c.To,
		For: c.For.String(), By: c.As, Reason: c.Reason,
	}
	var err error
	if rq.Declaration, err = attach(c.Declaration); err != nil {
		return err
	}
	if rq.Report, err = attach(c.Inspected); err != nil {
		return err
	}
	return askTicket(ctx, at, std, "tickets", rq, c.JSON)
}

// attach reads a document; "" is none.
func attach(path string) (network.Attached, error) {
	if path == "" {
		return network.Attached{}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return network.Attached{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ticket.MaxDocument+1))
	if err == nil && len(text) > ticket.MaxDocument {
		err = fmt.Errorf("%s has more than %d MiB", path, ticket.MaxDocument>>20)
	}
	return network.Attached{Name: filepath.Base(path), Text: text}, err
}

func askTicket(ctx context.Context, at place, std stdio, path string, rq any, asJSON bool) error {
	if err := needsRunning(ctx, at); err != nil {
		return err
	}
	var t ticket.Ticket
	if err := at.post(ctx, path, rq, &t); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(std.out).Encode(t)
	}
	fmt.Fprintln(std.out, ticketLine(t))
	return nil
}

var errNotOpening = errors.New("no Cordon runs here, which could open or close anything; what is open ends by itself at its time (start it with cordon up)")

// needsRunning is an error unless a Cordon runs on the data directory.
func needsRunning(ctx context.Context, at place) error {
	running, err := at.running(ctx)
	if err != nil {
		return err
	}
	if running == nil {
		return failure{2, errNotOpening}
	}
	return running.close()
}

// ticketLine says how a ticket stands.
func ticketLine(t ticket.Ticket) string {
	var to []string
	for _, v := range t.To {
		to = append(to, v.String())
	}
	what := fmt.Sprintf("ticket %s (%s) for %s to %s", t.ID, t.Kind, t.Address, strings.Join(to, ", "))
	switch t.State {
	case ticket.Asked:
		return what + " waits for a second person: cordon ticket approve " + t.ID
	case ticket.Opened:
		return what + " is open until " + moment(t.Until)
	}
	return what + " is closed: " + printable(t.Why)
}

type ticketListCommand struct {
	All  bool `help:"Also what has ended."`
	JSON bool `help:"One JSON object a line."`
}

func (c ticketListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path := "tickets"
	if c.All {
		path += "?all=true"
	}
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, path, func(t ticket.Ticket) error {
		if c.JSON {
			return encoder.Encode(t)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "ID\tKIND\tSTATE\tADDRESS\tTO\tSPONSOR\tUNTIL\tPURPOSE\n")
		}
		var to []string
		for _, v := range t.To {
			to = append(to, v.String())
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Kind, t.State, t.Address, strings.Join(to, ","), printable(t.Sponsor), or(moment(t.Until), "-"), printable(t.Purpose))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nobody is let in")
	}
	return err
}

type ticketShowCommand struct {
	ID   string `arg:"" help:"Its number."`
	JSON bool   `help:"One JSON object."`
}

func (c ticketShowCommand) Run(ctx context.Context, at place, std stdio) error {
	var t ticket.Ticket
	if err := at.get(ctx, "tickets/"+c.ID, &t); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(t)
	}
	table := newTable(std.out)
	for _, row := range [][2]string{
		{"ticket", t.ID + ", " + string(t.Kind) + ", " + string(t.State)}, {"purpose", t.Purpose}, {"sponsor", t.Sponsor}, {"visitor", t.Visitor},
		{"address", t.Address.String() + " " + t.MAC}, {"asked by", strings.Join(t.By, ", ")}, {"from", moment(t.Since)}, {"until", moment(t.Until)},
		{"sponsor seen", moment(t.Confirmed)}, {"closed", strings.TrimSpace(moment(t.Ended) + " " + t.EndedBy + " " + t.Why)},
		{"declaration", t.Declaration.Name + " sha256:" + t.Declaration.SHA256}, {"inspection", fmt.Sprintf("%d files, %d clean; %s", t.Inspection.Files, t.Inspection.Admitted, t.Inspection.Says)},
		{"packets", fmt.Sprint(t.Packets)},
	} {
		if strings.TrimSpace(row[1]) != "" {
			fmt.Fprintf(table, "%s\t%s\n", row[0], printable(row[1]))
		}
	}
	for _, to := range t.To {
		fmt.Fprintf(table, "may reach\t%s %v\n", printable(to.String()), to.To)
	}
	return table.Flush()
}

// ticketDecision is a decision about one ticket.
type ticketDecision struct {
	ID     string `arg:"" help:"Its number."`
	As     string `placeholder:"NAME" help:"Who you are; recorded. Not needed once you have signed in (cordon login)."`
	Reason string `placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

func (c ticketDecision) ask(ctx context.Context, at place, std stdio, what string, lasts string) error {
	return askTicket(ctx, at, std, "tickets/"+c.ID+"/"+what, network.Decision{By: c.As, Reason: c.Reason, For: lasts}, c.JSON)
}

type ticketApproveCommand struct{ ticketDecision }

func (c ticketApproveCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.ask(ctx, at, std, "approve", "")
}

type ticketConfirmCommand struct{ ticketDecision }

func (c ticketConfirmCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.ask(ctx, at, std, "confirm", "")
}

type ticketExtendCommand struct {
	ticketDecision
	For time.Duration `required:"" placeholder:"TIME" help:"For how long from now, such as 2h."`
}

func (c ticketExtendCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.ask(ctx, at, std, "extend", c.For.String())
}

type ticketCloseCommand struct{ ticketDecision }

func (c ticketCloseCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.ask(ctx, at, std, "close", "")
}
