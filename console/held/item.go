package held

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cordon/custody"
	"cordon/exception"
	"cordon/finding"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/preview"
)

const (
	similar   = 8                      // objects of each kind of likeness
	told      = 100                    // records of the ledger
	budget    = 2 * time.Second        // for all previews on a page
	searching = 300 * time.Millisecond // for the history
)

// item is what the page of one object shows.
type item struct {
	custody.Object
	Now   custody.VaultItem // the state as the vault calls it
	Held  int               // of its study
	Total int               // instances of its study
	Found []found           // the worst first
	Worst finding.Severity
	Asked []custody.Asked

	Texts   []preview.Text
	NoTexts string // why there are none
	Frame   preview.Frame
	NoFrame string
	Hex     *hexView // the bytes at the finding that is looked at; nil: of none
	NoHex   string

	Alike   []line // the same bytes
	Payload []line // a piece of the same bytes
	Habit   []line // the same finding from the same device

	History    []event
	Looked     []string // who looked at it
	NotExcept  string   // why it cannot be released with an exception
	Emergency  bool     // one person may release it
	CanRetry   bool
	CanReview  bool
	InTheVault bool

	Form form
}

// found is a kind of finding, and the places where it was found.
type found struct {
	Kind     finding.Kind
	Severity finding.Severity
	Places   []foundAt
}

// foundAt is one finding.
type foundAt struct {
	finding.Finding
	Looks bool // its bytes are shown
	Link  string
}

// foundIn puts an object's findings together by their kind, the worst first.
func foundIn(o custody.Object, looks int) (all []found) {
	for n, f := range o.Findings {
		i := slices.IndexFunc(all, func(k found) bool { return k.Kind.ID == f.ID })
		if i < 0 {
			kind, ok := finding.Lookup(f.ID)
			if !ok {
				kind.ID, kind.Title = f.ID, f.ID
			}
			i, all = len(all), append(all, found{Kind: kind, Severity: f.Severity})
		}
		all[i].Places = append(all[i].Places, foundAt{f, n == looks, bytesLink(o.ID, n, -1)})
	}
	slices.SortStableFunc(all, func(a, b found) int { return int(b.Severity) - int(a.Severity) })
	return all
}

// event is a record of the ledger about the object.
type event struct {
	Seq    int64
	At     time.Time
	Kind   string
	Means  string
	By     []string
	Reason string
}

// form is what somebody typed, and what became of it.
type form struct {
	Action    string
	Reason    string
	Except    bool
	Emergency bool
	Error     string
	Meanwhile bool // somebody else has decided
}

func (p *pages) showItem(w http.ResponseWriter, r *http.Request) {
	o, err := p.Custody.Get(r.Context(), r.PathValue("id"))
	if err == nil {
		err = p.seen(r, o, "page")
	}
	var i item
	if err == nil {
		i, err = p.describe(r, o)
	}
	if err != nil {
		p.refused(w, r, err)
		return
	}
	p.item.Show(w, r, i)
}

// describe gathers what there is to say about an object.
func (p *pages) describe(r *http.Request, o custody.Object) (i item, err error) {
	ctx := r.Context()
	i = item{Object: o, Now: o.VaultItem(), InTheVault: !o.HeldAt.IsZero()}
	if !i.InTheVault {
		i.Now.State = o.State
	}
	_, i.Worst = titles(nil, o)
	number := lookedAt(r, o)
	i.Found = foundIn(o, number)
	if i.Asked, err = p.Custody.Asked(ctx, o.ID); err != nil {
		return i, err
	}
	if err := p.ofStudy(ctx, &i); err != nil {
		return i, err
	}
	if err := p.similar(ctx, &i); err != nil {
		return i, err
	}
	i.History, i.Looked = p.history(ctx, o.ID)
	p.may(ctx, &i)
	p.look(r, &i, number)
	return i, nil
}

func (p *pages) ofStudy(ctx context.Context, i *item) error {
	if i.StudyInstanceUID == "" {
		return nil
	}
	of, err := p.Custody.HeldStudies(ctx, custody.HeldFilter{StudyInstanceUID: i.StudyInstanceUID})
	if err != nil {
		return err
	}
	if len(of) > 0 {
		i.Held = of[0].Objects
	}
	totals, err := p.totals(ctx, []custody.HeldStudy{{StudyInstanceUID: i.StudyInstanceUID}})
	i.Total = max(i.Held, totals[i.StudyInstanceUID])
	return err
}

// similar finds other objects that were held for what seems to be the same.
func (p *pages) similar(ctx context.Context, i *item) error {
	same, err := p.Custody.Alike(ctx, i.Object, similar)
	if err != nil {
		return err
	}
	i.Alike = linesOf(same)
	ids, err := p.Pieces.Alike(ctx, i.ID, similar)
	if err != nil {
		return err
	}
	var payload []custody.Object
	for _, id := range ids {
		o, err := p.Custody.Get(ctx, id)
		if err != nil && !errors.Is(err, custody.ErrNotFound) {
			return err
		}
		if err == nil && o.SHA256 != i.SHA256 {
			payload = append(payload, o)
		}
	}
	i.Payload = linesOf(payload)
	for _, f := range i.Findings {
		if f.Severity == i.Worst && f.Severity > finding.Info {
			habit, err := p.Custody.SameHabit(ctx, i.Object, f.ID, similar)
			i.Habit = linesOf(habit)
			return err
		}
	}
	return nil
}

func linesOf(all []custody.Object) (out []line) {
	for _, o := range all {
		n := line{Object: o}
		n.Titles, n.Worst = titles(nil, o)
		n.State = o.VaultItem().State
		out = append(out, n)
	}
	return out
}

// history is what the ledger says about an object, the latest first, and who looked
// at it, as far as that is found in a moment.
func (p *pages) history(ctx context.Context, id string) (all []event, looked []string) {
	ctx, cancel := context.WithTimeout(ctx, searching)
	defer cancel()
	page, err := p.Search.Find(ctx, search.Query{Kinds: []string{"object.*", "exception.*"}, Value: id}, search.End, told)
	if err != nil {
		return nil, nil // the Ledger page has all
	}
	for _, r := range page.Records {
		var body struct {
			By     json.RawMessage
			Reason string
		}
		_ = json.Unmarshal(r.Body, &body) // of another form: it says nothing here
		if r.Kind == "object.shown" {
			for _, name := range namesIn(body.By) {
				looked = with(looked, name)
			}
			continue
		}
		all = append(all, event{Seq: r.Seq, At: r.Time, Kind: r.Kind, Means: meaning(r.Kind), By: namesIn(body.By), Reason: body.Reason})
	}
	return all, looked
}

func meaning(kind string) string {
	for _, k := range ledger.Kinds() {
		if k.Name == kind {
			return k.Means
		}
	}
	return kind
}

// namesIn reads who did something: one name, or several.
func namesIn(text json.RawMessage) (names []string) {
	if len(text) == 0 || json.Unmarshal(text, &names) == nil {
		return names
	}
	var one string
	if json.Unmarshal(text, &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

// may says what whoever looks could decide.
func (p *pages) may(ctx context.Context, i *item) {
	id := people.From(ctx)
	held := i.State == custody.Held
	i.Emergency = held && i.Worst < finding.Malicious && !maliciousBy(i.Engines)
	if err := exception.CanRelease(i.Object); held && err != nil {
		i.NotExcept = err.Error()
	}
	i.CanRetry = i.State == custody.Spooled && i.NeedsAttention && id.May(people.OperateChange)
	i.CanReview = !i.ReviewDue.IsZero() && id.May(people.HeldDecide) && !slices.Contains(i.DecidedBy, id.Name)
}

func maliciousBy(engines []finding.EngineResult) bool {
	for _, e := range engines {
		if e.Result == finding.ResultMalicious {
			return true
		}
	}
	return false
}

// look makes the previews on a page, as far as its budget goes.
func (p *pages) look(r *http.Request, i *item, number int) {
	if i.State != custody.Held && i.State != custody.Spooled {
		i.NoTexts, i.NoFrame, i.NoHex = "gone", "gone", "gone"
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), budget)
	defer cancel()
	var err error
	if i.Texts, err = p.texts(ctx, i.Object); err != nil {
		i.NoTexts = missing(err)
	}
	if i.Frame, err = p.frame(ctx, i.Object, 0); err != nil {
		i.NoFrame = missing(err)
	}
	if number < 0 {
		return
	}
	v, err := p.bytes(ctx, i.Object, number, from(r))
	if err != nil {
		i.NoHex = missing(err)
		return
	}
	i.Hex = &v
}

// missing says why there is no preview; "gone" if the bytes went meanwhile.
func missing(err error) string {
	if errors.Is(err, custody.ErrState) || errors.Is(err, custody.ErrNotFound) {
		return "gone"
	}
	return err.Error()
}

// lookedAt is the number of the finding whose bytes are shown: the one that is asked
// for, else the first of the worst; -1: there is none.
func lookedAt(r *http.Request, o custody.Object) int {
	if n, err := strconv.Atoi(r.URL.Query().Get("finding")); err == nil && n >= 0 && n < len(o.Findings) {
		return n
	}
	best := -1
	for n, f := range o.Findings {
		if best < 0 || f.Severity > o.Findings[best].Severity {
			best = n
		}
	}
	return best
}

// from is the offset that is asked for; -1: around the finding.
func from(r *http.Request) int64 {
	n, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
