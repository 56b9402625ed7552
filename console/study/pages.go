package study

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/view"
	"cordon/whereabouts"
)

//go:embed *.html
var files embed.FS

type pages struct {
	Parts
	search, one *view.Page
}

// searched is what the page of the search shows.
type searched struct {
	Query  Query
	Found  *Found // nil: nothing was looked for yet
	Lines  []line
	Next   string // the key of the next page; "" if this is the last
	Error  string
	Asks   bool // archives can be asked
	Listed []string
}

// line is one study of a list.
type line struct {
	whereabouts.Study
	Where string // in words
	Whole bool   // all of it that Cordon has heard of was delivered
}

func (p *pages) form(w http.ResponseWriter, r *http.Request) {
	p.search.Show(w, r, searched{Query: Query{Device: r.URL.Query().Get("device"), Archives: p.asks()}, Asks: p.asks()})
}

// maxForm bounds the body of a form, in bytes.
const maxForm = 16 << 10

func (p *pages) find(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	s := searched{Asks: p.asks()}
	err := r.ParseForm()
	if err == nil {
		s.Query = Query{
			Study: strings.TrimSpace(r.PostFormValue("study")), PatientID: strings.TrimSpace(r.PostFormValue("patient_id")), Accession: strings.TrimSpace(r.PostFormValue("accession")),
			Device: strings.TrimSpace(r.PostFormValue("device")), From: r.PostFormValue("from"), To: r.PostFormValue("to"), Archives: r.PostFormValue("archives") != "",
		}
		var found Found
		asked := s.Query
		asked.Archives = asked.Archives && s.Asks && asked.named() // by a device or a day nobody is asked
		found, err = p.look(r.Context(), answer.Caller(r), asked, keyIn(r.PostFormValue("before")))
		s.Found = &found
	}
	if err != nil {
		s.Found, s.Error = nil, err.Error()
		p.search.Again(w, r, err, s)
		return
	}
	s.list()
	p.search.Show(w, r, s)
}

// list puts what was found into lines.
func (s *searched) list() {
	all := s.Found.Studies
	if len(all) > perPage {
		all = all[:perPage]
		last := all[perPage-1].Key
		s.Next = fmt.Sprintf("%d.%d", last.Last.UnixMicro(), last.Study)
	}
	for _, st := range all {
		s.Lines = append(s.Lines, line{st, inWords(st.Counts), whole(st)})
	}
}

// keyIn reads what list wrote; what is none is the beginning.
func keyIn(text string) whereabouts.Key {
	at, id, _ := strings.Cut(text, ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	study, err2 := strconv.ParseInt(id, 10, 64)
	if err != nil || err2 != nil || micros <= 0 {
		return whereabouts.Key{}
	}
	return whereabouts.Key{Last: time.UnixMicro(micros), Study: study}
}

// inWords says where instances are: "411 delivered to pacs, 1 held".
func inWords(counts []whereabouts.Count) string {
	var out []string
	for _, c := range counts {
		text := fmt.Sprintf("%s %s", view.Thin(c.Instances), c.State)
		if c.Archive != "" {
			switch c.State {
			case whereabouts.Delivered:
				text += " to " + c.Archive
			case whereabouts.Spooled, whereabouts.Held:
				text += " for " + c.Archive
			default:
				text += " (" + c.Archive + ")"
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// whole reports whether every instance that was heard of was delivered.
func whole(s whereabouts.Study) bool {
	for _, c := range s.Counts {
		if c.State != whereabouts.Delivered {
			return false
		}
	}
	return s.Instances > 0
}

// shown is what the page of one study shows.
type shown struct {
	Where
	Unknown bool // the ledger has never heard of it
	UID     string
	Words   string
	Whole   bool
	Held    int
	Asks    bool
	Ask     bool // they are asked now
	Lines   []seriesLine
}

type seriesLine struct {
	whereabouts.Series
	Where string
	Whole bool
}

func (p *pages) show(w http.ResponseWriter, r *http.Request) {
	uid := r.PathValue("uid")
	s := shown{UID: uid, Asks: p.asks()}
	var err error
	s.Where, err = p.where(r.Context(), answer.Caller(r), uid)
	if s.Unknown = errors.Is(err, whereabouts.ErrNotFound); s.Unknown {
		err = nil
	}
	if err == nil && s.Asks && r.URL.Query().Has("ask") {
		s.Ask = true
		s.Asked, err = p.askAbout(r.Context(), uid)
	}
	if err != nil {
		p.View.Refuse(w, r, err)
		return
	}
	s.Words, s.Whole = inWords(s.Counts), whole(s.Where.Study)
	for _, c := range s.Counts {
		if c.State == whereabouts.Held {
			s.Held += c.Instances
		}
	}
	for _, one := range s.Where.Series {
		s.Lines = append(s.Lines, seriesLine{one, inWords(one.Counts), whole(whereabouts.Study{Instances: one.Instances, Counts: one.Counts})})
	}
	p.one.Show(w, r, s)
}

// showArchives is the part of the page that takes as long as archives do.
func (p *pages) showArchives(w http.ResponseWriter, r *http.Request) {
	uid := r.PathValue("uid")
	s := shown{UID: uid, Asks: p.asks(), Ask: true}
	err := p.Ledger.Record(r.Context(), "study.shown", map[string]any{"by": answer.Caller(r), "study_instance_uid": uid[:min(len(uid), maxKey)], "archives": p.Archives})
	if err == nil && p.asks() {
		s.Asked, err = p.askAbout(r.Context(), uid)
	}
	if err != nil {
		p.View.Refuse(w, r, err)
		return
	}
	p.one.Part(w, r, "archives-of-study", s)
}
