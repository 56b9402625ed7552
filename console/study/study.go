// Package study answers "where is this study": from what the ledger says was
// delivered, refused or destroyed, from what waits or is held here, and from what the
// archives themselves say that they have.
//
// Ordinary use:
//
//	routes := study.Routes(study.Parts{Studies: whereabouts, Custody: custody, Find: gateway, Archives: names, …})
//
// A study is looked for by its UID, by patient ID or accession number, by device and
// by time. The last three are patient data, or lead to it: they come in the body of a
// form and never stand in an address, and who looked for what is on the ledger,
// sealed. An archive that does not answer in time is said not to have answered.
//
// It asks archives for no more than a person did: nothing with a wildcard in it, and
// so many matches at most.
package study

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/dicom"
	"cordon/ledger"
	"cordon/people"
	"cordon/store"
	"cordon/whereabouts"
)

// Parts are what is looked in.
type Parts struct {
	DB       *store.DB
	Ledger   *ledger.Ledger
	Custody  *custody.Custody
	Studies  *whereabouts.Index
	View     *view.View
	Archives []string      // that are asked, by name
	Calling  dicom.AETitle // under which
	Find     Finder        // nil: nobody can be asked
	Patience time.Duration // with one archive; 8 s

	asking chan struct{}
}

// Query is what is looked for: everything that is given must hold.
type Query struct {
	Study     string `json:"study,omitempty"` // Study Instance UID (0020,000D)
	PatientID string `json:"patient_id,omitempty"`
	Accession string `json:"accession,omitempty"`
	Device    string `json:"device,omitempty"` // by its name, or the AE title of one that nobody declared
	From      string `json:"from,omitempty"`   // day, 2006-01-02: heard of on that day or later
	To        string `json:"to,omitempty"`     // day: heard of on that day or before

	Archives bool `json:"archives,omitempty"` // the archives are asked too
}

// Found is what was found.
type Found struct {
	Studies  []whereabouts.Study `json:"studies"`
	Archives []Reply             `json:"archives,omitempty"`
	Behind   int64               `json:"behind,omitempty"` // records of the ledger that are not looked in yet
}

// Where is all about one study.
type Where struct {
	whereabouts.Study
	Patient whereabouts.Patient `json:"patient,omitzero"`
	Waiting []Waiting           `json:"waiting,omitempty"` // of what is spooled, the first
	Asked   []Reply             `json:"archives,omitempty"`
	Behind  int64               `json:"behind,omitempty"`
}

// Waiting is an object that waits for its archive.
type Waiting struct {
	ID        string    `json:"id"`
	Archive   string    `json:"archive"`
	Since     time.Time `json:"since"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error,omitempty"`
	Stuck     bool      `json:"stuck,omitempty"` // until a person decides
}

// Routes are the pages of studies, and their interface.
func Routes(parts Parts) []route.Route {
	parts.asking = make(chan struct{}, asking)
	p := &pages{Parts: parts, search: parts.View.Page(files, "search.html", "archives.html"), one: parts.View.Page(files, "study.html", "archives.html")}
	return []route.Route{
		{Method: "GET", Pattern: "/studies", May: people.StudySearch, Handler: p.form},
		{Method: "POST", Pattern: "/studies", May: people.StudySearch, Handler: p.find},
		{Method: "GET", Pattern: "/studies/{uid}", May: people.StudySearch, Handler: p.show},
		{Method: "GET", Pattern: "/studies/{uid}/archives", May: people.StudySearch, Handler: p.showArchives},
		{Method: "POST", Pattern: "/api/v1/studies", May: people.StudySearch, Handler: p.apiFind, Doc: route.Doc{
			Summary: "Where studies are, the last heard of first; who looked for what is recorded", Request: Query{}, Response: Found{}, Example: Query{Accession: "A123456", Archives: true}}},
		{Method: "GET", Pattern: "/api/v1/studies/{uid}", May: people.StudySearch, Handler: p.apiShow, Doc: route.Doc{
			Summary: "Where one study is, series by series; that somebody looked is recorded", Response: Where{},
			Query: []route.Param{{Name: "archives", Summary: "true: the archives are asked too", Example: "true"}}}},
	}
}

// whereabouts is the query as the index takes it.
func (q Query) whereabouts() (whereabouts.Query, error) {
	out := whereabouts.Query{Study: strings.TrimSpace(q.Study), PatientID: strings.TrimSpace(q.PatientID), Accession: strings.TrimSpace(q.Accession), Device: strings.TrimSpace(q.Device)}
	for _, d := range []struct {
		text string
		into *time.Time
		more int
	}{{q.From, &out.From, 0}, {q.To, &out.To, 1}} {
		if d.text == "" {
			continue
		}
		at, err := time.ParseInLocation(time.DateOnly, d.text, time.Local)
		if err != nil {
			return out, fmt.Errorf("%w: %.40q: expected a day, such as 2026-11-22", answer.ErrRequest, d.text)
		}
		*d.into = at.AddDate(0, 0, d.more)
	}
	return out, nil
}

// maxKey bounds one thing that is looked for, in bytes.
const maxKey = 200

func (q Query) check() error {
	for _, s := range []string{q.Study, q.PatientID, q.Accession, q.Device} {
		if len(s) > maxKey {
			return fmt.Errorf("%w: at most %d characters each", answer.ErrRequest, maxKey)
		}
	}
	if q == (Query{Archives: q.Archives}) {
		return fmt.Errorf("%w: what is looked for? Give a study, a patient ID, an accession number, a device or a day", answer.ErrRequest)
	}
	return nil
}

// look looks for studies, once it is on the ledger that somebody does.
func (p Parts) look(ctx context.Context, by string, q Query, before whereabouts.Key) (out Found, err error) {
	if err := q.check(); err != nil {
		return out, err
	}
	in, err := q.whereabouts()
	if err == nil && q.Archives {
		err = q.askable()
	}
	if err == nil {
		err = p.record(ctx, by, q)
	}
	if err != nil {
		return out, err
	}
	in.Before, in.Limit = before, perPage+1
	if out.Studies, err = p.Studies.Find(ctx, in); err != nil {
		return out, err
	}
	if q.Archives && p.asks() {
		out.Archives = p.ask(ctx, q)
	}
	out.Behind, err = p.Studies.Behind(ctx)
	return out, err
}

// perPage is how many studies are listed at a time.
const perPage = 50

// record puts a search on the ledger, what was looked for sealed.
func (p Parts) record(ctx context.Context, by string, q Query) error {
	return p.DB.Update(ctx, func(tx *store.Tx) error {
		of := ledger.Subject(q.PatientID, "", q.Study)
		if q.PatientID == "" && q.Study == "" {
			of = ledger.Subject("", "", "accession "+q.Accession)
		}
		sealed, err := p.Ledger.Seal(tx, of, base64.StdEncoding.EncodeToString(q.identifier()))
		if err != nil {
			return err
		}
		body := map[string]any{"by": by, "identifier": sealed}
		if q.Archives {
			body["archives"] = p.Archives
		}
		for key, value := range map[string]string{"device": q.Device, "from": q.From, "to": q.To} {
			if value != "" {
				body[key] = value
			}
		}
		return p.Ledger.Append(tx, "study.searched", body)
	})
}

// where tells all about one study, once it is on the ledger that somebody looks.
func (p Parts) where(ctx context.Context, by, uid string) (out Where, err error) {
	err = p.Ledger.Record(ctx, "study.shown", map[string]any{"by": by, "study_instance_uid": uid[:min(len(uid), maxKey)]})
	if err != nil {
		return out, err
	}
	if out.Study, err = p.Studies.Study(ctx, uid); err != nil {
		return out, err
	}
	if out.Patient, err = p.Studies.Patient(ctx, uid); err != nil {
		return out, err
	}
	waiting, err := p.Custody.List(ctx, custody.Filter{StudyInstanceUID: uid, States: []custody.State{custody.Spooled}, Limit: 20})
	for _, o := range waiting {
		out.Waiting = append(out.Waiting, Waiting{o.ID, o.Archive, o.ReceivedAt, o.Attempts, o.LastError, o.NeedsAttention})
	}
	if err == nil {
		out.Behind, err = p.Studies.Behind(ctx)
	}
	return out, err
}

func (p *pages) apiFind(w http.ResponseWriter, r *http.Request) {
	var q Query
	err := answer.Read(w, r, &q)
	var out Found
	if err == nil {
		out, err = p.look(r.Context(), answer.Caller(r), q, whereabouts.Key{})
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	out.Studies = out.Studies[:min(len(out.Studies), perPage)]
	answer.JSON(w, out)
}

func (p *pages) apiShow(w http.ResponseWriter, r *http.Request) {
	uid := r.PathValue("uid")
	out, err := p.where(r.Context(), answer.Caller(r), uid)
	if err == nil && r.URL.Query().Get("archives") == "true" && p.asks() {
		out.Asked, err = p.askAbout(r.Context(), uid)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, out)
}

// askAbout asks the archives about one study.
func (p Parts) askAbout(ctx context.Context, uid string) ([]Reply, error) {
	q := Query{Study: uid}
	if err := q.askable(); err != nil {
		return nil, err
	}
	return p.ask(ctx, q), nil
}
