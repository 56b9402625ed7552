package records

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/ledger"
	"cordon/people"
	"cordon/review"
)

//go:embed *.html
var files embed.FS

// pages are the pages of the ledger and its reviews.
type pages struct {
	Parts
	list, record, checkpoint, reviews, review *view.Page
}

// pageRoutes are the routes of the pages.
func pageRoutes(p Parts) []route.Route {
	page := func(name string) *view.Page { return p.View.Page(files, name, "parts.html") }
	s := pages{p, page("ledger.html"), page("record.html"), page("checkpoint.html"), page("reviews.html"), page("review.html")}
	return []route.Route{
		{Method: "GET", Pattern: "/ledger", May: people.LedgerRead, Handler: s.showList},
		{Method: "GET", Pattern: "/ledger/checkpoint", May: people.LedgerRead, Handler: s.showCheckpoint},
		{Method: "GET", Pattern: "/ledger/{seq}", May: people.LedgerRead, Handler: s.showRecord},
		{Method: "GET", Pattern: "/reviews", May: people.LedgerRead, Handler: s.showReviews},
		{Method: "GET", Pattern: "/reviews/{id}", May: people.LedgerRead, Handler: s.showReview},
		{Method: "POST", Pattern: "/reviews/{id}/sign", May: people.ReviewSign, Handler: s.sign},
	}
}

// list is what the page of a search shows.
type list struct {
	Form  url.Values
	Kinds []string // to choose from
	Page
	Older   string // the query of the next page; "" if there is none
	Newest  string // of the first page; "" if this is it
	Some    bool   // something is asked for
	Total   int64
	Indexed int64 // of them: less than all while an old ledger is indexed
	Wrong   string
	Reviews review.Status
}

// showList shows records. What is asked for wrongly is said above an empty list.
func (s pages) showList(w http.ResponseWriter, r *http.Request) {
	form := r.URL.Query()
	d := list{Form: form, Kinds: kinds()}
	var err error
	if d.Indexed, d.Total, err = s.Search.Progress(r.Context()); err == nil {
		d.Reviews, err = s.Reviews.Status(r.Context(), time.Now())
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	for _, key := range []string{"kind", "device", "person", "value", "text", "from", "to", "alarm"} {
		d.Some = d.Some || strings.TrimSpace(form.Get(key)) != ""
	}
	q, err := readQuery(form)
	if err == nil {
		d.Page, err = s.find(r, q, "page")
	}
	if err != nil {
		d.Wrong = err.Error()
		s.list.Again(w, r, err, d)
		return
	}
	if d.Next > 0 {
		d.Older = with(form, "before", strconv.FormatInt(d.Next, 10))
	}
	if form.Get("before") != "" {
		d.Newest = with(form, "before", "")
	}
	s.list.Show(w, r, d)
}

// with is a query with another value of one key.
func with(form url.Values, key, value string) string {
	out := url.Values{}
	for k, v := range form {
		if k != key && k != "done" && strings.Join(v, "") != "" {
			out[k] = v
		}
	}
	if value != "" {
		out.Set(key, value)
	}
	return "/ledger?" + out.Encode()
}

// kinds are what a search may choose: every kind, and every group of them.
func kinds() (out []string) {
	for _, k := range ledger.Kinds() {
		group, _, _ := strings.Cut(k.Name, ".")
		if !slices.Contains(out, group+".*") {
			out = append(out, group+".*")
		}
		out = append(out, k.Name)
	}
	slices.Sort(out)
	return out
}

// one is what the page of a record shows.
type one struct {
	ledger.Record
	Means  string
	Rows   []field
	Line   string
	Hash   string
	Signed signed
	Last   bool // there is no later one
}

// field is one key of a body, for people.
type field struct {
	Key    string
	Value  string
	Sealed bool
	Find   string // a search for the same value; "" if that makes no sense
}

// showRecord shows one record with what proves it.
func (s pages) showRecord(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	size, err2 := s.Ledger.Size(r.Context())
	switch {
	case err2 != nil:
		s.View.Refuse(w, r, err2)
		return
	case err != nil || number < 0 || number >= size:
		s.View.Say(w, r, http.StatusNotFound, fmt.Sprintf("There is no record %.40s: they are 0 to %d.", r.PathValue("seq"), size-1))
		return
	}
	d := one{Last: number == size-1}
	if err = s.read(r, "record", 1); err == nil {
		d, err = s.oneOf(r, number, d)
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.record.Show(w, r, d)
}

func (s pages) oneOf(r *http.Request, number int64, d one) (one, error) {
	rec, line, err := s.Ledger.Line(r.Context(), number)
	if err != nil {
		return d, err
	}
	d.Record, d.Line, d.Means = rec, string(line), means(rec.Kind)
	if d.Hash, err = rec.Hash(); err != nil {
		return d, err
	}
	d.Rows = fields(rec)
	d.Signed, err = s.signed(r)
	return d, err
}

// means is what a kind of record says.
func means(kind string) string {
	all := ledger.Kinds()
	if i := slices.IndexFunc(all, func(k ledger.Kind) bool { return k.Name == kind }); i >= 0 {
		return all[i].Means
	}
	return ""
}

// fields are a body's keys in their order.
func fields(r ledger.Record) (out []field) {
	var body map[string]json.RawMessage
	if json.Unmarshal(r.Body, &body) != nil {
		return nil
	}
	sealed := strings.Fields(sealedKeys(r.Kind))
	for key, raw := range body {
		f := field{Key: key, Value: string(raw), Sealed: slices.Contains(sealed, key)}
		var text string
		var texts []string
		if json.Unmarshal(raw, &texts) == nil {
			f.Value = strings.Join(texts, ", ")
		}
		if json.Unmarshal(raw, &text) == nil {
			f.Value = text
			if len(text) > 2 && len(text) <= 128 && !f.Sealed {
				f.Find = "/ledger?value=" + url.QueryEscape(text)
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b field) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func sealedKeys(kind string) string {
	all := ledger.Kinds()
	if i := slices.IndexFunc(all, func(k ledger.Kind) bool { return k.Name == kind }); i >= 0 {
		return all[i].Sealed
	}
	return ""
}

// signed is how far the ledger is signed, and by whom.
type signed struct {
	Note        string // the last checkpoint
	Records     int64
	At          time.Time
	Key         string
	Fingerprint string
	Witnesses   []ledger.WitnessState
	Start       ledger.Start
}

// signed signs what there is, and says so.
func (s pages) signed(r *http.Request) (d signed, err error) {
	if d.Note, err = s.Ledger.Checkpoint(r.Context()); err != nil {
		return d, err
	}
	lines := strings.Split(d.Note, "\n")
	if len(lines) > 3 { // origin, size, root, time: see package ledger
		d.Records, _ = strconv.ParseInt(lines[1], 10, 64)
		d.At, _ = time.Parse(time.RFC3339, strings.TrimPrefix(lines[3], "time "))
	}
	d.Key, d.Fingerprint, d.Witnesses, d.Start = s.Ledger.Key(), s.Ledger.Fingerprint(), s.Ledger.Witnesses(), s.Ledger.Start()
	return d, nil
}

func (s pages) showCheckpoint(w http.ResponseWriter, r *http.Request) {
	d, err := s.signed(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.checkpoint.Show(w, r, d)
}

// reviewList is what the page of reviews shows: those to sign first.
type reviewList struct {
	Status review.Status
	Due    []review.Review // that wait for a signature, the oldest first
	Signed []review.Review // the latest first
	More   int             // signed ones that are not shown
	Now    time.Time
}

// shownReviews is how many signed reviews a page has.
const shownReviews = 60

func (s pages) showReviews(w http.ResponseWriter, r *http.Request) {
	d := reviewList{Now: time.Now()}
	all, err := s.Reviews.List(r.Context())
	if err == nil {
		d.Status, err = s.Reviews.Status(r.Context(), d.Now)
	}
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	for _, one := range all {
		switch {
		case one.SignedAt.IsZero():
			d.Due = append(d.Due, one)
		case len(d.Signed) < shownReviews:
			d.Signed = append(d.Signed, one)
		default:
			d.More++
		}
	}
	slices.Reverse(d.Due)
	s.reviews.Show(w, r, d)
}

// oneReview is what the page of a review shows.
type oneReview struct {
	review.Review
	Groups  []group
	Own     []review.Item // that name who looks
	Overdue bool
	Wrong   string
	Typed   string
}

// group is what one rule found.
type group struct {
	Rule  review.Rule
	Items []review.Item
}

func (s pages) showReview(w http.ResponseWriter, r *http.Request) {
	d, err := s.reviewOf(r)
	if err != nil {
		s.View.Refuse(w, r, err)
		return
	}
	s.review.Show(w, r, d)
}

func (s pages) reviewOf(r *http.Request) (d oneReview, err error) {
	if d.Review, err = s.Reviews.Get(r.Context(), r.PathValue("id")); err != nil {
		return d, err
	}
	d.Overdue = d.Review.Overdue(time.Now())
	if me := people.From(r.Context()); me.Name != "" {
		d.Own = d.Of(me.Name)
	}
	rules := review.Rules()
	for _, item := range d.Items {
		if n := len(d.Groups); n > 0 && d.Groups[n-1].Rule.ID == item.Rule {
			d.Groups[n-1].Items = append(d.Groups[n-1].Items, item)
			continue
		}
		g := group{Rule: review.Rule{ID: item.Rule}, Items: []review.Item{item}}
		if i := slices.IndexFunc(rules, func(one review.Rule) bool { return one.ID == item.Rule }); i >= 0 {
			g.Rule = rules[i]
		}
		d.Groups = append(d.Groups, g)
	}
	return d, nil
}

// sign signs a review in the name of whoever signed in.
func (s pages) sign(w http.ResponseWriter, r *http.Request) {
	by, err := people.From(r.Context()).By("")
	if err == nil {
		r.Body = http.MaxBytesReader(w, r.Body, answer.MaxRequest)
		_, err = s.Reviews.Sign(r.Context(), r.PathValue("id"), custody.Request{By: by, Reason: r.PostFormValue("reason")})
	}
	if err == nil {
		s.View.Back(w, r, "/reviews", "records.signed")
		return
	}
	d, err2 := s.reviewOf(r)
	if err2 != nil {
		s.View.Refuse(w, r, err2)
		return
	}
	d.Wrong, d.Typed = err.Error(), r.PostFormValue("reason")
	s.review.Again(w, r, err, d)
}
