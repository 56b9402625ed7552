package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	consolepeople "cordon/console/people"
	"cordon/people"
)

type personCommand struct {
	List    personListCommand    `cmd:"" help:"Everybody who has an account."`
	Invite  personInviteCommand  `cmd:"" help:"Make an account for somebody, and a link of one use to take it by."`
	Role    personRoleCommand    `cmd:"" help:"Give somebody other roles."`
	Disable personDisableCommand `cmd:"" help:"Let somebody in no more; sessions and tokens end."`
	Enable  personEnableCommand  `cmd:"" help:"Let somebody in again who was disabled."`
	Recover personRecoverCommand `cmd:"" help:"Make a link of one use for somebody who cannot sign in any more. Everybody hears of it."`
}

type personListCommand struct {
	JSON bool `help:"One JSON object a line."`
}

// Run lists people by name.
func (c personListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, "people", func(v people.Account) error {
		if c.JSON {
			return encoder.Encode(v)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "NAME\tSTATE\tROLES\tSIGNS IN BY\tLAST\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(v.Name), v.State, joined(v.Roles, v.Products), printable(signsInBy(v)), ago(v.SignedIn))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nobody; the first account is made by the set-up link, or by cordon person invite")
	}
	return err
}

func joined(roles []people.Role, products []string) string {
	var all []string
	for _, r := range roles {
		all = append(all, string(r))
	}
	for _, p := range products {
		all = append(all, printable(p))
	}
	return strings.Join(all, ", ")
}

// signsInBy says how somebody can.
func signsInBy(v people.Account) string {
	var all []string
	if v.Issuer != "" {
		all = append(all, v.Issuer)
	}
	if v.Password {
		all = append(all, "password")
	}
	if v.Passkeys > 0 {
		all = append(all, "passkey")
	}
	return or(strings.Join(all, ", "), "nothing yet")
}

// asker is who changes somebody's account, and why. Who is signed in need not say a
// name.
type asker struct {
	As     string `placeholder:"NAME" help:"Who you are, where nobody signs in; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; recorded."`
	JSON   bool   `help:"One JSON object."`
}

// post asks for a change and says what became of it.
func (a asker) post(ctx context.Context, at place, std stdio, path string, rq consolepeople.Request, v any, says func() string) error {
	rq.By, rq.Reason = a.As, a.Reason
	c, err := at.control(ctx)
	if err != nil {
		return err
	}
	err = c.ask(ctx, http.MethodPost, path, rq, v)
	if closed := c.close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
	case a.JSON:
		err = json.NewEncoder(std.out).Encode(v)
	default:
		fmt.Fprintln(std.out, says())
	}
	return err
}

func personPath(name, action string) string { return "people/" + url.PathEscape(name) + "/" + action }

type personInviteCommand struct {
	Name     string   `arg:"" help:"The name that decisions will be recorded under."`
	Role     []string `required:"" placeholder:"ROLE" help:"administrator, pacs, security, biomed, vendor or auditor; may be given again."`
	Products []string `name:"product" placeholder:"VENDOR[/MODEL]" help:"What a vendor may see; may be given again."`
	asker
}

func (c personInviteCommand) Run(ctx context.Context, at place, std stdio) error {
	var link consolepeople.Invited
	return c.post(ctx, at, std, "people", consolepeople.Request{Name: c.Name, Roles: roles(c.Role), Products: c.Products}, &link, func() string { return c.says(link) })
}

func (c asker) says(link consolepeople.Invited) string {
	return fmt.Sprintf("for %s, until %s, to be used once and by nobody else:\n%s", printable(link.Name), link.Expires, link.Link)
}

func roles(names []string) (out []people.Role) {
	for _, n := range names {
		out = append(out, people.Role(n))
	}
	return out
}

type personRoleCommand struct {
	Name     string   `arg:"" help:"Whose."`
	Role     []string `required:"" placeholder:"ROLE" help:"All that the person is to have from now on; may be given again."`
	Products []string `name:"product" placeholder:"VENDOR[/MODEL]" help:"What a vendor may see; may be given again."`
	asker
}

func (c personRoleCommand) Run(ctx context.Context, at place, std stdio) error {
	var v people.Account
	return c.post(ctx, at, std, personPath(c.Name, "roles"), consolepeople.Request{Roles: roles(c.Role), Products: c.Products}, &v,
		func() string { return fmt.Sprintf("%s: %s", printable(v.Name), joined(v.Roles, v.Products)) })
}

type personDisableCommand struct {
	Name string `arg:"" help:"Who."`
	asker
}

func (c personDisableCommand) Run(ctx context.Context, at place, std stdio) error {
	var v people.Account
	return c.post(ctx, at, std, personPath(c.Name, "disable"), consolepeople.Request{}, &v,
		func() string { return printable(v.Name) + " cannot sign in any more" })
}

type personEnableCommand struct {
	Name string `arg:"" help:"Who."`
	asker
}

func (c personEnableCommand) Run(ctx context.Context, at place, std stdio) error {
	var v people.Account
	return c.post(ctx, at, std, personPath(c.Name, "enable"), consolepeople.Request{}, &v,
		func() string { return printable(v.Name) + " can sign in again" })
}

type personRecoverCommand struct {
	Name string `arg:"" help:"Who."`
	asker
}

func (c personRecoverCommand) Run(ctx context.Context, at place, std stdio) error {
	var link consolepeople.Invited
	return c.post(ctx, at, std, personPath(c.Name, "recover"), consolepeople.Request{}, &link, func() string { return c.says(link) })
}
