// Package records is the console's view of the ledger and of the activity reviews
// that are made of it: a search, each record with its proof, the checkpoints and
// who witnesses them, and what waits for a signature.
//
//	all = append(all, records.Routes(records.Parts{Ledger: l, Search: index, Reviews: reviews})...)
//
// That somebody reads the ledger is itself recorded, before they do. What was
// sealed of patients stays sealed.
package records

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/people"
	"cordon/review"
)

// Parts are what the routes work on.
type Parts struct {
	Ledger  *ledger.Ledger
	Search  *search.Index
	Reviews *review.Reviews
	View    *view.View
}

// Page is the answer to a search.
type Page struct {
	Records []ledger.Record `json:"records"`          // the newest first
	Next    int64           `json:"next,omitempty"`   // "before" of the next search; 0: the beginning was reached
	Reached time.Time       `json:"reached,omitzero"` // how far back the search got
	Full    bool            `json:"full"`             // it ended with as many as were asked for, and not for want of time
}

const (
	shown    = 50  // records of a page
	maxShown = 500 // of an answer of the API
)

// query are the parameters of a search.
var query = []route.Param{
	{Name: "kind", Summary: "a kind of record, or its beginning with a last *; may be given again", Example: "object.*"},
	{Name: "device", Summary: "a device, peer or archive: its name, AE title or address", Example: "ct-1"},
	{Name: "person", Summary: "who did it", Example: "A. Able"},
	{Name: "value", Summary: "stands in the record: the UID of an object, series or study, an id, a digest", Example: "1.2.840.1"},
	{Name: "text", Summary: "occurs in the record's body; every record is read for it", Example: "timeout"},
	{Name: "from", Summary: "not before this time", Example: "2026-01-01"},
	{Name: "to", Summary: "before this time, or on this day", Example: "2026-01-31"},
	{Name: "alarm", Summary: "true: only records that ask for somebody to look", Example: "true"},
	{Name: "before", Summary: "only records of lower numbers", Example: "1000"},
	{Name: "n", Summary: "how many: 1 to 500, 50 if it is left out", Example: "5"},
}

// Routes are the routes of the ledger and its reviews, beside those that move whole
// files.
func Routes(p Parts) []route.Route {
	return append(pageRoutes(p), []route.Route{
		{Method: "GET", Pattern: "/api/v1/ledger/search", May: people.LedgerRead, Handler: p.search, Doc: route.Doc{
			Summary: "Find records, the newest first; that somebody read them is recorded", Response: Page{}, Query: query}},
	}...)
}

// search answers a search. Where time was short the answer says how far it got.
func (p Parts) search(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
	var page Page
	if err == nil {
		page, err = p.find(r, q, "search")
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, page)
}

// asked is a search as it was asked for.
type asked struct {
	search.Query
	before int64
	most   int
}

// find searches, and records that somebody did.
func (p Parts) find(r *http.Request, q asked, how string) (Page, error) {
	size, err := p.Ledger.Size(r.Context())
	if err != nil {
		return Page{}, err
	}
	found, err := p.Search.Find(r.Context(), q.Query, min(q.before, size), q.most)
	if err != nil {
		return Page{}, err
	}
	return Page{found.Records, found.Next, found.Reached, found.Full}, p.read(r, how, len(found.Records))
}

// read records that somebody reads records, before they are shown.
func (p Parts) read(r *http.Request, how string, records int) error {
	return p.Ledger.Record(r.Context(), "ledger.read", map[string]any{"how": how, "by": answer.Caller(r), "records": records})
}

// readQuery reads a search from the URL.
func readQuery(v url.Values) (q asked, err error) {
	q.Device, q.Person, q.Value, q.Text, q.Alarm = v.Get("device"), v.Get("person"), v.Get("value"), v.Get("text"), v.Get("alarm") == "true"
	for _, kind := range v["kind"] {
		q.Kinds = append(q.Kinds, strings.FieldsFunc(kind, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	for _, s := range append([]string{q.Device, q.Person, q.Value, q.Text}, q.Kinds...) {
		if len(s) > 256 {
			return q, fmt.Errorf("%w: %.40q: at most 256 bytes", answer.ErrRequest, s)
		}
	}
	if q.From, err = readTime(v.Get("from"), false); err != nil {
		return q, err
	}
	if q.To, err = readTime(v.Get("to"), true); err != nil {
		return q, err
	}
	if q.before, err = readNumber(v, "before", search.End, 1, search.End); err != nil {
		return q, err
	}
	n, err := readNumber(v, "n", shown, 1, maxShown)
	q.most = int(n)
	return q, err
}

func readNumber(v url.Values, key string, absent, least, most int64) (int64, error) {
	text := v.Get(key)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%w: %s: %.40q is not a number from %d to %d", answer.ErrRequest, key, text, least, most)
	}
	return n, nil
}

// forms are the ways in which a time may be written, days and minutes where Cordon
// runs.
var forms = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// readTime reads a time; end of a day means the next one's beginning.
func readTime(text string, end bool) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range forms {
		t, err := time.ParseInLocation(form, text, time.Local)
		if err != nil {
			continue
		}
		if end && form == time.DateOnly {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%w: %.40q is not a time; write 2026-01-31 or 2026-01-31T14:30", answer.ErrRequest, text)
}
