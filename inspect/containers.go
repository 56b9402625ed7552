package inspect

import (
	"crypto/sha256"
	"time"

	"cordon/dicom"
	"cordon/inspect/container"
)

// containers opens pieces that are containers or texts, and judges their members
// as pieces of their own, each from its own offset zero. All pieces of an object
// share its limits.
type containers struct {
	blind
	report *report
	hashes HashList
	turns  Turns
	kept   int // bytes of all pieces that are kept now

	arriving Turns // one is had while containers are kept
	keeps    int   // containers kept now
	denied   bool  // there was no turn in time: what comes of the object is not opened

	opener  *container.Opener // nil before the first piece is opened, and so are frames, member and sweep
	frames  *container.Opener // of deflated frames
	member  *piece            // the member under way
	sweep   *sweep
	opened  map[opening]bool
	element *dicom.Element // in which the piece lies
	piece   *piece
}

// frameLimits are those of deflated frames (PS3.5 §A.4), which are no attempt to hide: masks
// deflate a thousandfold, and there may be many.
var frameLimits = container.Limits{Members: 1 << 20, Bytes: 1 << 30, Ratio: 1 << 40}

// keptBytes bounds what all pieces of one object keep at a time.
const keptBytes = 16 << 20

func (c *containers) raises() []string {
	return []string{
		"office-macro", "pdf-javascript", "pdf-launch", "runnable-member", "script-text", "ole-package", "ole-update",
		"equation-editor", "activex", "external-reference", "external-entity", "entity-expansion", "encrypted-document",
		"container-bomb", "container-depth", "container-mismatch", "encrypted-container", "container-limit", "container-unread",
		"pdf-open-action", "pdf-embedded-file", "pdf-rich-media", "embedded-object", "external-dtd",
		"path-traversal", "active-markup", "executable", "script",
	}
}

// opening is what was opened, and as what.
type opening struct {
	digest   [sha256.Size]byte
	document bool
}

// maxOpened bounds how many openings are remembered.
const maxOpened = 1000

// open opens a piece of e. The same bytes may be several pieces, such as a fragment and
// what follows an image; they are opened once.
func (c *containers) open(e *dicom.Element, p *piece, f container.Format, data []byte, whole bool) {
	document := e.Tag == dicom.TagEncapsulatedDocument && e.Kind == dicom.KindElement
	if f.IsContainer() && c.before(opening{sha256.Sum256(data), document}) {
		return
	}
	c.element, c.piece = e, p
	if c.opener == nil {
		cut := cutter{hashes: c.hashes, report: c.report} // engines open containers themselves: members are not copied to them
		c.member = cut.piece()
		c.sweep = &sweep{found: c.found}
		c.opener = container.New(container.Limits{}, (*members)(c))
		c.frames = container.New(frameLimits, (*members)(c))
	}
	if f != container.Text {
		c.turns.take()
		defer c.turns.give()
	}
	opener, format := c.opener, container.None
	if f == container.Deflate {
		opener, format = c.frames, f
	}
	opener.Open(container.Piece{
		Data:     data,
		Format:   format,
		Whole:    whole,
		Document: document,
		File:     c.report.plain,
	})
}

// before reports whether it was opened before, and remembers it.
func (c *containers) before(one opening) bool {
	if c.opened == nil {
		c.opened = map[opening]bool{}
	}
	if !c.opened[one] && len(c.opened) < maxOpened {
		c.opened[one] = true
		return false
	}
	return c.opened[one]
}

// found takes what the sweep finds in a member.
func (c *containers) found(p *pattern, _ int64, detail string) {
	if p.id == containerBegins {
		return // in a member only its beginning counts
	}
	c.member.known = true
	c.member.raise(p.id, c.element, detail)
}

// members is what an Opener tells of the members of a piece.
type members containers

func (m *members) Found(f container.Found) {
	if t := m.report.tally(f.ID); m.report.admits(t) {
		m.report.addAt(f.ID, m.report.where(m.element)+f.Path, m.piece.at(f.Offset), f.Detail)
	}
}

func (m *members) Begin(one container.Member) {
	m.member.start(m.element, ordinary, m.piece.at(one.Offset), -1, asIs)
	m.member.path = one.Path
	m.sweep.start(asIs)
}

func (m *members) Write(p []byte) {
	m.member.write(p)
	m.sweep.write(p)
}

func (m *members) End() {
	m.sweep.finish()
	m.member.end(m.element)
}

// containerBegins is the pattern of a container in the middle of a piece.
const containerBegins = "container"

func beginsContainer(w []byte) (string, bool) {
	return "", container.Recognise(w).IsContainer()
}

// keeping is what a piece keeps of itself to be opened.
type keeping struct {
	containers *containers // nil: the piece is not opened
	format     container.Format
	mask       int // the byte order in which it is one
	limit      int
	data       []byte
	more       bool // there is more of the piece than data
}

// begin looks at the piece's first bytes, and keeps them when they are wanted.
func (k *keeping) begin(head []byte, orders []int) {
	if k.containers == nil {
		return
	}
	if f, mask := recognise(head[:min(len(head), container.Window)], orders); f != container.None {
		k.take(f, mask, head)
	}
}

// take keeps the piece as one of the format.
func (k *keeping) take(f container.Format, mask int, head []byte) {
	if k.containers == nil {
		return
	}
	k.format, k.mask = f, mask
	k.limit = min(k.format.Keep(), keptBytes-k.containers.kept)
	if f != container.Text && !k.containers.arrive() {
		k.limit = min(k.limit, container.Window)
	}
	k.containers.kept += k.limit
	k.write(head)
}

// turnPatience is how long an object waits before its containers are cut short:
// those that hold their turns for longer wait for slow senders.
const turnPatience = 5 * time.Second

// arrive reports whether another container may be kept whole. An object that
// keeps one has a turn, and needs no other; so none waits for what another waits for.
func (c *containers) arrive() bool {
	if c.keeps == 0 && !c.denied {
		c.denied = !c.arriving.takeWithin(turnPatience)
	}
	if c.denied {
		return false
	}
	c.keeps++
	return true
}

// arrived ends what arrive began; a container that was denied began nothing.
func (c *containers) arrived() {
	if c.keeps == 0 {
		return
	}
	if c.keeps--; c.keeps == 0 {
		c.arriving.give()
	}
}

// leave gives the turn back of an object that ended in the middle of a container.
func (c *containers) leave() {
	if c.keeps > 0 {
		c.keeps = 0
		c.arriving.give()
	}
}

// recognise tells the format, and the byte order in which it is one. A text in the
// piece's own order may be a container in another, whose first bytes are looked at.
func recognise(head []byte, orders []int) (container.Format, int) {
	f := container.Recognise(head)
	if f != container.None && f != container.Text {
		return f, 0
	}
	for _, mask := range orders {
		if mask == 0 {
			continue
		}
		other := container.Recognise(reorder(head[:min(len(head), 64)], mask))
		if other != container.None && other != container.Text {
			return other, mask
		}
	}
	return f, 0
}

func (k *keeping) write(p []byte) {
	if k.format == container.None {
		return
	}
	if room := k.limit - len(k.data); len(p) > room {
		k.more = true
		p = p[:room]
	}
	k.data = append(k.data, p...)
}

// end opens what was kept.
func (k *keeping) end(e *dicom.Element, p *piece) {
	if k.format != container.None {
		data := k.data
		if k.mask != 0 {
			data = reorder(data, k.mask)
		}
		k.containers.open(e, p, k.format, data, !k.more)
	}
	k.forget()
}

// forget lets go of what was kept. A text's buffer is used again.
func (k *keeping) forget() {
	if k.format != container.None {
		k.containers.kept -= k.limit
		if k.format != container.Text {
			k.containers.arrived()
		}
	}
	k.format, k.more = container.None, false
	if k.data = k.data[:0]; cap(k.data) > maxText {
		k.data = nil
	}
}
