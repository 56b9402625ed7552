package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cordon/console/route"
	"cordon/console/settings"
	"cordon/finding"
	"cordon/setting"
)

type settingCommand struct {
	List     settingListCommand     `cmd:"" help:"What people may change while Cordon runs, and what holds now."`
	Preview  settingPreviewCommand  `cmd:"" help:"What a change would have changed in the last seven days."`
	Set      settingSetCommand      `cmd:"" help:"Change settings; it begins with the preview."`
	History  settingHistoryCommand  `cmd:"" help:"Who changed what, and why."`
	Revert   settingRevertCommand   `cmd:"" help:"Put back what was before a change."`
	Withdraw settingWithdrawCommand `cmd:"" help:"Withdraw a change that waits for a second person."`
}

// settingRoutes are the routes of settings.
func (p *parts) settingRoutes(c Config) []route.Route {
	shown := settings.Config{File: c.File}
	for _, s := range c.Said {
		shown.Said = append(shown.Said, settings.Said(s))
	}
	return settings.Routes(settings.Parts{Settings: p.settings, Config: shown, View: p.view})
}

type settingListCommand struct {
	JSON bool `help:"One JSON object."`
}

func (c settingListCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		var e settings.Effective
		if err := control.get(ctx, "settings", &e); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(e)
		}
		table := newTable(std.out)
		fmt.Fprintln(table, "SETTING\tVALUE\tFROM\tMAY BE")
		for _, s := range e.Settings {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Key, s.Value, s.Source, allowed(s.Kind))
		}
		return table.Flush()
	})
}

// allowed says what a setting may be.
func allowed(k setting.Kind) string {
	if len(k.Words) > 0 {
		return strings.Join(k.Words, ", ")
	}
	return fmt.Sprintf("%d%s to %d%s", k.Least, k.Unit, k.Most, k.Unit)
}

type settingPreviewCommand struct {
	Changes []string `arg:"" placeholder:"KEY=VALUE" help:"What to change, such as policy.unscanned=hold."`
	JSON    bool     `help:"One JSON object."`
}

func (c settingPreviewCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		p, err := previewed(ctx, control, c.Changes)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(p)
		}
		return printPreview(std.out, p)
	})
}

func previewed(ctx context.Context, control *control, changes []string) (p setting.Preview, err error) {
	var rq settings.PreviewRequest
	for _, text := range changes {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return p, failure{2, fmt.Errorf("%q: write KEY=VALUE, such as policy.unscanned=hold", text)}
		}
		rq.Changes = append(rq.Changes, setting.Change{Key: strings.TrimSpace(key), Now: value})
	}
	err = control.ask(ctx, http.MethodPost, "settings/preview", rq, &p)
	return p, err
}

// verdicts are what a verdict means for an object, in the past.
var verdicts = map[finding.Verdict]string{finding.Admit: "delivered", finding.Hold: "held", finding.Refuse: "refused"}

func printPreview(w io.Writer, p setting.Preview) error {
	for _, c := range p.Changes {
		fmt.Fprintf(w, "%s: %s becomes %s\n", c.Key, c.Was, c.Now)
	}
	switch {
	case p.Untouched:
		fmt.Fprintln(w, "This does not decide what becomes of objects; nothing can be replayed.")
	case len(p.Rows) == 0:
		fmt.Fprintf(w, "Of %s since %s none would have gone another way.\n", objectsText(p.Objects), moment(p.From))
	default:
		fmt.Fprintf(w, "Of %s since %s these would have gone another way:\n", objectsText(p.Objects), moment(p.From))
	}
	table := newTable(w)
	if len(p.Rows) > 0 {
		fmt.Fprintln(table, "DEVICE\tFOR\tWERE\tWOULD BE\tOBJECTS")
	}
	for _, r := range p.Rows {
		fmt.Fprintf(table, "%s\t%s: %s\t%s\t%s\t%d\n", or(printable(r.Device), "unknown"), r.Rule, printable(r.Title), verdicts[r.Was], verdicts[r.Becomes], r.Objects)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, u := range p.Unknown {
		fmt.Fprintf(w, "Not replayed: %s: %s.\n", objectsText(u.Objects), u.Why)
	}
	if p.Cut {
		fmt.Fprintf(w, "There was time to look back to %s only.\n", moment(p.From))
	}
	if p.Weakens {
		fmt.Fprintln(w, "This lets something through that is kept back: it takes two people.")
	}
	_, err := fmt.Fprintf(w, "preview %s\n", p.Digest)
	return err
}

func objectsText(n int64) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

type settingSetCommand struct {
	Changes []string `arg:"" placeholder:"KEY=VALUE" help:"What to change, such as policy.unscanned=hold."`
	Preview string   `placeholder:"DIGEST" help:"Apply what this preview showed, of the last half hour; without it a preview is made, shown and applied."`
	JSON    bool     `help:"One JSON object."`
	signed
}

func (c settingSetCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		rq := settings.Request{By: c.As, Reason: c.Reason, Digest: c.Preview}
		if c.Preview == "" {
			p, err := previewed(ctx, control, c.Changes)
			if err != nil {
				return err
			}
			if !c.JSON {
				if err := printPreview(std.out, p); err != nil {
					return err
				}
			}
			rq.Digest = p.Digest
		}
		return actOn(ctx, control, "settings/apply", rq, c.JSON, std)
	})
}

// actOn asks for an act and says what became of it.
func actOn(ctx context.Context, control *control, path string, rq settings.Request, asJSON bool, std stdio) error {
	var a setting.Act
	if err := control.ask(ctx, http.MethodPost, path, rq, &a); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(std.out).Encode(a)
	}
	switch a.State {
	case setting.Waiting:
		fmt.Fprintf(std.out, "change %d waits for a second person, for a day: who sets the same, with a preview of their own\n", a.ID)
	case setting.Withdrawn:
		fmt.Fprintf(std.out, "change %d is withdrawn\n", a.ID)
	default:
		fmt.Fprintf(std.out, "change %d is applied; undo it with cordon setting revert %d\n", a.ID, a.ID)
	}
	return nil
}

type settingHistoryCommand struct {
	JSON bool `help:"One JSON object a line."`
}

func (c settingHistoryCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		table := newTable(std.out)
		if !c.JSON {
			fmt.Fprintln(table, "NO\tWHEN\tSTATE\tWHAT\tBY\tWHY")
		}
		err := each(ctx, control, "settings/changes", func(a setting.Act) error {
			if c.JSON {
				return json.NewEncoder(std.out).Encode(a)
			}
			var what []string
			for _, one := range a.Changes {
				what = append(what, fmt.Sprintf("%s %s → %s", one.Key, one.Was, one.Now))
			}
			state := string(a.State)
			switch {
			case a.Expired(time.Now()):
				state = "expired"
			case a.UndoneBy != 0:
				state = fmt.Sprintf("undone by %d", a.UndoneBy)
			}
			by := a.By
			if a.Second != "" {
				by += " and " + a.Second
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", a.ID, moment(a.At), state, strings.Join(what, ", "), printable(by), printable(a.Reason))
			return nil
		})
		table.Flush()
		return err
	})
}

type settingRevertCommand struct {
	Number int64 `arg:"" help:"The change, as setting history shows it."`
	JSON   bool  `help:"One JSON object."`
	signed
}

func (c settingRevertCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		return actOn(ctx, control, fmt.Sprintf("settings/changes/%d/revert", c.Number), settings.Request{By: c.As, Reason: c.Reason}, c.JSON, std)
	})
}

type settingWithdrawCommand struct {
	Number int64 `arg:"" help:"The change, as setting history shows it."`
	JSON   bool  `help:"One JSON object."`
	signed
}

func (c settingWithdrawCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		return actOn(ctx, control, fmt.Sprintf("settings/changes/%d/withdraw", c.Number), settings.Request{By: c.As, Reason: c.Reason}, c.JSON, std)
	})
}
