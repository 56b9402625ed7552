package web

import (
	"net/http"
	"strconv"
	"strings"

	"cordon/dicom"
)

// Kind is what a path names (PS3.18 §10.2, §11.2).
type Kind uint8

// The kinds of resource. Where Study, Series and Instance of a [Resource] are empty,
// the kind is of all there are.
const (
	KindStudies      Kind = iota + 1 // /studies: search, store
	KindStudy                        // /studies/1.2: retrieve, store
	KindSeriesList                   // /series, /studies/1.2/series: search
	KindSeries                       // /studies/1.2/series/1.3: retrieve
	KindInstances                    // /instances, /studies/1.2/instances, …/series/1.3/instances: search
	KindInstance                     // …/instances/1.4: retrieve
	KindMetadata                     // …/metadata of a study, series or instance
	KindRendered                     // …/rendered of a study, series, instance or frames
	KindThumbnail                    // …/thumbnail of the same
	KindFrames                       // …/instances/1.4/frames/1,2
	KindBulkData                     // …/bulkdata, …/bulkdata/…, …/bulk/…, …/pixeldata of a study, series or instance
	KindWorkitems                    // /workitems: search, create
	KindWorkitem                     // /workitems/1.5: retrieve, update
	KindState                        // /workitems/1.5/state
	KindCancel                       // /workitems/1.5/cancelrequest
	KindSubscription                 // /workitems/1.5/subscribers/AET
	KindSuspension                   // /workitems/1.5/subscribers/AET/suspend
)

var kindNames = [...]string{"none", "studies", "study", "series", "one series", "instances", "instance", "metadata", "rendered", "thumbnail",
	"frames", "bulk data", "workitems", "workitem", "workitem state", "workitem cancellation", "subscription", "subscription suspension"}

// String is the kind in a word or two.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Resource is what a path names.
type Resource struct {
	Kind                    Kind
	Study, Series, Instance dicom.UID // as far as the path goes
	Frames                  []int     // from 1, in the order asked for
	Bulk                    string    // KindBulkData: the rest of the path from bulkdata, bulk or pixeldata on
	Workitem                dicom.UID
	Subscriber              dicom.AETitle
}

// Limits of a path.
const (
	maxPath   = 2048 // bytes; of a list of frames the most
	maxFrames = 1000 // in one request
)

// ParseResource reads a path below the base of the service, as it was sent: escaped.
// It has to be in exactly the form of the standard: no escape, no empty or dot
// segment, no two dots in any, no scheme or host. The error is a *[Refusal]: 404 for what is no resource, 400 for one whose
// identifiers are not in their form, 414 for one that is too long.
func ParseResource(escaped string) (Resource, error) {
	if len(escaped) > maxPath {
		return Resource{}, refuse(http.StatusRequestURITooLong, "path: %d bytes, %d are allowed", len(escaped), maxPath)
	}
	segments, err := split(escaped)
	if err != nil {
		return Resource{}, err
	}
	p := path{rest: segments}
	if segments[0] == "workitems" {
		p.workitems()
	} else {
		p.studies()
	}
	switch {
	case p.err != nil:
		return Resource{}, p.err
	case len(p.rest) > 0 || p.out.Kind == 0:
		return Resource{}, errNoResource()
	}
	return p.out, nil
}

func errNoResource() *Refusal {
	return refuse(http.StatusNotFound, "path: no such resource (PS3.18 §10.2, §11.2)")
}

// split cuts a path into its segments. Only characters that no resource escapes may be in it.
func split(escaped string) ([]string, *Refusal) {
	if !strings.HasPrefix(escaped, "/") {
		return nil, bad("path: it does not begin with a slash")
	}
	for i := range len(escaped) {
		c := escaped[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("/.,_-", c) >= 0) {
			return nil, bad("path: byte %02XH at position %d; escapes and other characters are not allowed", c, i)
		}
	}
	segments := strings.Split(escaped[1:], "/")
	for _, s := range segments {
		if s == "" || s == "." || strings.Contains(s, "..") {
			return nil, bad("path: an empty segment, or two dots in one, or nothing but one")
		}
	}
	return segments, nil
}

// path reads the segments of a path from left to right.
type path struct {
	rest []string
	out  Resource
	err  *Refusal
}

// next takes the next segment, empty at the end.
func (p *path) next() string {
	if len(p.rest) == 0 {
		return ""
	}
	s := p.rest[0]
	p.rest = p.rest[1:]
	return s
}

func (p *path) uid() dicom.UID {
	u := dicom.UID(p.next())
	if err := u.Validate(); err != nil && p.err == nil {
		p.err = bad("path: %v", err)
	}
	return u
}

// studies reads the resources of the Studies Service (PS3.18 §10.2).
func (p *path) studies() {
	switch p.next() {
	case "studies":
		p.level(KindStudies, KindStudy, &p.out.Study, map[string]func(){
			"series": p.series, "instances": p.instances,
		})
	case "series":
		p.out.Kind = KindSeriesList
	case "instances":
		p.out.Kind = KindInstances
	}
}

func (p *path) series() {
	p.level(KindSeriesList, KindSeries, &p.out.Series, map[string]func(){"instances": p.instances})
}

// instances are below a series, or of a whole study, where they can only be searched.
func (p *path) instances() {
	if p.out.Series == "" {
		p.out.Kind = KindInstances
		return
	}
	p.level(KindInstances, KindInstance, &p.out.Instance, map[string]func(){"frames": p.frames})
}

// level reads what follows studies, series or instances: nothing, or a UID and what is below it.
func (p *path) level(list, one Kind, uid *dicom.UID, below map[string]func()) {
	p.out.Kind = list
	if len(p.rest) == 0 {
		return
	}
	*uid = p.uid()
	p.out.Kind = one
	if len(p.rest) == 0 {
		return
	}
	word := p.next()
	if f := below[word]; f != nil {
		f()
		return
	}
	p.view(word)
}

// view reads the last segment: what is wanted of a study, series, instance or frames.
func (p *path) view(word string) {
	switch word {
	case "metadata":
		p.out.Kind = KindMetadata
	case "rendered":
		p.out.Kind = KindRendered
	case "thumbnail":
		p.out.Kind = KindThumbnail
	case "bulkdata", "bulk", "pixeldata":
		p.out.Kind = KindBulkData
		p.out.Bulk = strings.Join(append([]string{word}, p.rest...), "/")
		p.rest = nil
	default:
		p.out.Kind = 0
	}
}

func (p *path) frames() {
	p.out.Kind = KindFrames
	for _, s := range strings.Split(p.next(), ",") {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil || n == 0 || s[0] == '0' || len(p.out.Frames) == maxFrames {
			p.err = bad("path: frames are numbers from 1, separated by commas, at most %d of them (PS3.18 §10.4.1.1.5)", maxFrames)
			return
		}
		p.out.Frames = append(p.out.Frames, int(n))
	}
	switch len(p.rest) {
	case 0:
	case 1:
		if p.view(p.next()); p.out.Kind != KindRendered && p.out.Kind != KindThumbnail {
			p.out.Kind = 0
		}
	}
}

// workitems reads the resources of the Worklist Service (PS3.18 §11.2).
func (p *path) workitems() {
	p.next()
	p.out.Kind = KindWorkitems
	if len(p.rest) == 0 {
		return
	}
	p.out.Workitem = p.uid()
	p.out.Kind = KindWorkitem
	switch p.next() {
	case "":
	case "state":
		p.out.Kind = KindState
	case "cancelrequest":
		p.out.Kind = KindCancel
	case "subscribers":
		p.subscriber()
	default:
		p.out.Kind = 0
	}
}

func (p *path) subscriber() {
	title, err := dicom.ParseAETitle(p.next())
	if err != nil || title == "" {
		p.err = bad("path: the subscriber is not an AE title (PS3.18 §11.10)")
		return
	}
	p.out.Subscriber = title
	p.out.Kind = KindSubscription
	if len(p.rest) > 0 {
		p.out.Kind = 0
		if p.next() == "suspend" {
			p.out.Kind = KindSuspension
		}
	}
}

// Path is the path of the resource below the base of a service. Of what
// ParseResource accepted, it is the same path.
func (r Resource) Path() string {
	if r.Kind >= KindWorkitems {
		return r.workitemPath()
	}
	var b strings.Builder
	for _, level := range []struct {
		name string
		uid  dicom.UID
	}{{"studies", r.Study}, {"series", r.Series}, {"instances", r.Instance}} {
		if level.uid != "" {
			b.WriteString("/" + level.name + "/" + string(level.uid))
		}
	}
	if len(r.Frames) > 0 {
		b.WriteString("/frames/" + frameList(r.Frames))
	}
	switch r.Kind {
	case KindStudies:
		b.WriteString("/studies")
	case KindSeriesList:
		b.WriteString("/series")
	case KindInstances:
		b.WriteString("/instances")
	case KindMetadata, KindRendered, KindThumbnail:
		b.WriteString("/" + kindNames[r.Kind])
	case KindBulkData:
		b.WriteString("/" + r.Bulk)
	}
	return b.String()
}

func frameList(frames []int) string {
	s := make([]string, len(frames))
	for i, n := range frames {
		s[i] = strconv.Itoa(n)
	}
	return strings.Join(s, ",")
}

func (r Resource) workitemPath() string {
	s := "/workitems"
	if r.Kind > KindWorkitems {
		s += "/" + string(r.Workitem)
	}
	switch r.Kind {
	case KindState:
		s += "/state"
	case KindCancel:
		s += "/cancelrequest"
	case KindSubscription, KindSuspension:
		s += "/subscribers/" + string(r.Subscriber)
	}
	if r.Kind == KindSuspension {
		s += "/suspend"
	}
	return s
}
