package evidence

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"cordon/paper"
)

// PDF writes the pack for paper: a summary, a page for each control, and the
// proofs of the samples. Its fonts are in it, it needs no colour, and the pack's
// JSON is attached.
func (s Signed) PDF(w io.Writer) error {
	digest, err := s.Pack.Digest()
	if err != nil {
		return err
	}
	var attached bytes.Buffer
	if err := s.JSON(&attached); err != nil {
		return err
	}
	draft, err := newDocument(s.Pack, digest, nil) // to know the numbers of the pages
	if err != nil {
		return err
	}
	draft.write(s)
	p, err := newDocument(s.Pack, digest, draft)
	if err != nil {
		return err
	}
	p.SetAttachments([]fpdf.Attachment{{Content: attached.Bytes(), Filename: "evidence.json", Description: "the pack, as cordon evidence verify reads it"}})
	p.write(s)
	return p.Output(w)
}

func (p *document) write(s Signed) {
	p.summary(s)
	for i, c := range s.Pack.Controls {
		p.control(i, c)
	}
	p.proofs(s)
}

// document is a pack on paper.
type document struct {
	*paper.Paper
	pack   Pack
	digest string
	draft  *document // the same document; nil in the draft itself
	starts []int     // pages on which the controls begin
	links  []int     // to the controls' pages
}

func newDocument(pack Pack, digest string, draft *document) (*document, error) {
	sheets, err := paper.New(paper.Config{
		Letter: pack.Mapping.Paper == "letter",
		Title:  "Evidence: " + pack.Mapping.Name, Author: pack.Site, Creator: "Cordon " + pack.Version, Made: pack.MadeAt,
	})
	if err != nil {
		return nil, err
	}
	p := &document{Paper: sheets, pack: pack, digest: digest, draft: draft}
	p.SetHeaderFunc(p.head)
	p.SetFooterFunc(p.foot)
	for range pack.Controls {
		p.links = append(p.links, p.AddLink())
	}
	return p, nil
}

// head is the line at the top of each page.
func (p *document) head() {
	p.Style(paper.Sans, "", 8, paper.Mid)
	period := days(p.pack.From, p.pack.To)
	w := p.GetStringWidth(period)
	p.Put(p.Right()-w, 48, period)
	p.Put(paper.Margin, 48, p.Fit(p.pack.Site+"  ·  "+p.Running, p.Inner()-w-20))
	p.Rule(54, paper.Line)
}

// foot ties each page to the pack: its digest, the tree and the key.
func (p *document) foot() {
	y := p.Height - 52
	p.Rule(y-10, paper.Line)
	p.Style(paper.Mono, "", 6.5, paper.Dark)
	p.Put(paper.Margin, y, "pack sha256 "+p.digest)
	p.Put(paper.Margin, y+9, fmt.Sprintf("tree %d records, root %s", p.pack.Ledger.TreeSize, p.pack.Ledger.Root))
	p.Put(paper.Margin, y+18, "signed by "+p.pack.Ledger.Fingerprint)
	p.Style(paper.Sans, "", 8, paper.Dark)
	if p.draft != nil {
		p.PutRight(p.Right(), y, fmt.Sprintf("%d / %d", p.PageNo(), p.draft.PageCount()))
	}
}

// days writes a period as people say it, the last day included.
func days(from, to time.Time) string {
	return date(from) + " to " + date(to.Add(-time.Second))
}

// date is a day where Cordon runs.
func date(t time.Time) string { return t.Local().Format("2 Jan 2006") }
