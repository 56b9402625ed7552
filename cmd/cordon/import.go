package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/user"
	"time"

	"cordon/console"
	"cordon/custody"
	"cordon/dicom"
	"cordon/finding"
	"cordon/judge"
	"cordon/media"
)

type importCommand struct {
	JSON    bool   `help:"One JSON object a line."`
	Archive string `placeholder:"NAME" help:"Archive that it is for; the first one if none is named."`
	Calling string `default:"CORDON-MEDIA" placeholder:"AE" help:"Calling AE title (${default})."`
	As      string `placeholder:"NAME" help:"Who you are; recorded. This machine's user if none is named."`
	Label   string `placeholder:"TEXT" help:"What the medium is; recorded. Write no patient data."`
	Report  string `placeholder:"FILE" help:"Also write a page for people (HTML); no file may be there."`
	Path    string `arg:"" help:"The folder where the CD or stick is mounted, or any folder."`
}

// Run judges every file on a medium, holds in the vault the objects that policy
// holds, stores the others through the running gateway, and copies nothing else:
// 0 if all is admitted and stored, 1 if something is not, 2 if something could not be
// read or there was no gateway to take it.
func (c importCommand) Run(ctx context.Context, at place, std stdio) error {
	im, err := c.begin(ctx, at, std)
	if err != nil {
		return failure{2, err}
	}
	defer im.close()
	err = im.judgeAll(ctx)
	if err == nil {
		err = im.storeAll(ctx)
	}
	im.complete(err)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err = errors.Join(err, im.tell(context.WithoutCancel(ctx))); err != nil {
		return failure{2, err}
	}
	return im.exit()
}

// importing is one run of import.
type importing struct {
	command importCommand
	std     stdio
	bar     *progress
	judge   *judge.Judge
	medium  *media.Medium
	control *control
	gateway peer
	site    string
	items   []media.Item
	summary media.Summary
}

// begin makes sure, before anything is read, that a gateway runs which can take
// what is admitted, and a vault that can take the rest.
func (c importCommand) begin(ctx context.Context, at place, std stdio) (*importing, error) {
	config, err := at.config()
	if err != nil {
		return nil, err
	}
	if c.As, err = c.person(); err != nil {
		return nil, err
	}
	if c.Report != "" {
		if _, err := os.Lstat(c.Report); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is there already: choose another name", c.Report)
		}
	}
	status, err := runningStatus(ctx, at)
	if err != nil {
		return nil, err
	}
	if !status.Accepting {
		return nil, fmt.Errorf("no Cordon that accepts associations runs on %s: start it with cordon up, or only look with cordon inspect", config.Data)
	}
	archive, err := c.archive(status.Archives)
	if err != nil {
		return nil, err
	}
	im := &importing{
		command: c,
		std:     std,
		bar:     newProgress(std),
		site:    config.Site,
		gateway: peer{Address: dialable(config.Gateway.Listen), Calling: c.Calling, Called: string(config.Gateway.AETitle)},
		summary: media.Summary{By: c.As, Label: c.Label, Archive: archive.Name, CallingAE: c.Calling},
	}
	// The gateway asks the engines about all that it takes; nothing else is copied.
	if im.judge, err = config.newJudge(nil, nil, config.settings); err != nil {
		return nil, err
	}
	if c.Archive != "" {
		im.gateway.Called = archive.AETitle
	}
	if im.control, err = at.control(ctx); err != nil {
		return nil, err
	}
	if im.medium, err = media.Open(c.Path); err != nil {
		im.control.close()
		return nil, fmt.Errorf("%w (name the folder where the medium is mounted)", err)
	}
	im.summary.Directory = im.medium.Directory().SHA256
	return im, nil
}

func (im *importing) close() {
	im.medium.Close()
	im.control.close()
}

// person is who imports.
func (c importCommand) person() (string, error) {
	if c.As != "" {
		return c.As, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", errors.New("say who you are: --as NAME")
	}
	return u.Username, nil
}

// archive is the one that was asked for, or the first.
func (c importCommand) archive(all []console.Archive) (console.Archive, error) {
	var names []string
	for _, a := range all {
		if c.Archive == "" || c.Archive == a.Name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return console.Archive{}, fmt.Errorf("--archive %q: not one of %q", c.Archive, names)
}

// dialable is an address of this machine for a listener's: one that listens
// everywhere is called on the loopback address.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// judgeAll judges all there is, and holds what policy holds.
func (im *importing) judgeAll(ctx context.Context) error {
	return im.medium.Walk(ctx, func(it media.Item) error {
		if it.Err == nil {
			it.Report, it.Err = im.judged(ctx, it.Path)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		im.settle(ctx, &it)
		im.items = append(im.items, it)
		return nil
	})
}

func (im *importing) judged(ctx context.Context, path string) (finding.Report, error) {
	f, size, err := im.medium.OpenFile(path)
	if err != nil {
		return finding.Report{}, err
	}
	defer f.Close()
	report, err := judgeFile(ctx, im.judge, f, size, im.bar)
	if err != nil {
		return finding.Report{}, err // half a file has no verdict
	}
	return report, nil
}

// settle decides what becomes of an item. An admitted object has no outcome
// before it is stored.
func (im *importing) settle(ctx context.Context, it *media.Item) {
	if it.Err != nil {
		it.Outcome = media.Unreadable
		return
	}
	it.Kind = kindOf(*it)
	switch {
	case it.Kind == media.Other, it.Report.Verdict == finding.Refuse:
		it.Outcome = media.Listed
	case it.Report.Verdict == finding.Hold:
		im.hold(ctx, it)
	case it.Kind == media.Directory:
		it.Outcome = media.Listed
	}
}

// kindOf tells what was judged. A DICOMDIR has no SOP instance in its data set
// (PS3.3 §F.3), and anything else that has none is an object that cannot be stored.
func kindOf(it media.Item) media.Kind {
	switch {
	case finding.Has(it.Report.Findings, string(dicom.AnomalyNotDICOM)):
		return media.Other
	case it.Report.Identity.SOPInstanceUID == "" && it.IsDirectory():
		return media.Directory
	}
	return media.Object
}

// hold takes the whole file into the vault.
func (im *importing) hold(ctx context.Context, it *media.Item) {
	var kept custody.VaultItem
	f, _, err := im.medium.OpenFile(it.Path)
	if err == nil {
		defer f.Close()
		err = im.control.upload(ctx, "import/held", console.ImportedFile{
			CallingAE: im.gateway.Calling,
			CalledAE:  im.gateway.Called,
			Archive:   im.summary.Archive,
			Bytes:     it.Report.Bytes,
			SHA256:    it.Report.SHA256,
			Identity:  it.Report.Identity,
			Findings:  it.Report.Findings,
			Engines:   it.Report.Engines,
		}, f, &kept)
	}
	if err != nil {
		it.Outcome, it.Detail = media.Failed, "not held: "+err.Error()
		return
	}
	it.Outcome, it.ID = media.Held, kept.ID
}

// storeAll sends what is admitted to the gateway, which judges it again as it
// judges all. Its error means that there is no association.
func (im *importing) storeAll(ctx context.Context) error {
	index := map[string]int{}
	var objects []object
	for i := range im.items {
		it := &im.items[i]
		if it.Outcome != "" {
			continue
		}
		o, err := readObject(it.Path, im.medium.OpenFile)
		if err != nil {
			it.Outcome, it.Detail = media.Failed, "not stored: "+err.Error()
			continue
		}
		index[it.Path] = i
		objects = append(objects, o)
	}
	if len(objects) == 0 {
		return nil
	}
	s := sending{peer: im.gateway, std: im.std, bar: im.bar, start: time.Now()}
	s.told = func(path string, err error) {
		it := &im.items[index[path]]
		if it.Outcome = media.Stored; err != nil {
			it.Outcome, it.Detail = media.Failed, "not stored: "+err.Error()
		}
	}
	for _, batch := range batches(objects) {
		if err := s.association(ctx, batch); err != nil {
			return err
		}
	}
	return im.heldByGateway(ctx, objects, index)
}

// sent is what tells one object in the vault from another of the same name.
type sent struct {
	instance string
	bytes    int64 // of the data set, as the message carried it
}

// heldByGateway finds what the gateway answered success for and has held: its
// engines may know more. What the vault has as a whole file came another way.
func (im *importing) heldByGateway(ctx context.Context, objects []object, index map[string]int) error {
	held := map[sent]string{} // vault ids
	studies := map[string]bool{"": true}
	for _, it := range im.items {
		study := it.Report.Identity.StudyInstanceUID
		if it.Outcome != media.Stored || studies[study] {
			continue
		}
		studies[study] = true
		err := each(ctx, im.control, "vault?"+url.Values{"study": {study}}.Encode(), func(v custody.VaultItem) error {
			if v.CallingAE == im.gateway.Calling {
				held[sent{v.SOPInstanceUID, v.Bytes}] = v.ID
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, o := range objects {
		it := &im.items[index[o.path]]
		id := held[sent{string(o.SOPInstanceUID), o.size + o.Padding(o.size)}]
		if it.Outcome != media.Stored || id == "" {
			continue
		}
		var v console.VaultDetail
		if err := im.control.get(ctx, vaultPath(id), &v); err != nil {
			return err
		}
		if v.TransferSyntaxUID != "" {
			it.Outcome, it.ID, it.Detail = media.Held, id, "held by the gateway"
		}
	}
	return nil
}

// complete counts, once every item has its outcome. What has none was not come to.
func (im *importing) complete(err error) {
	im.summary.Complete = err == nil
	for i := range im.items {
		it := &im.items[i]
		if it.Outcome == "" {
			it.Outcome, it.Detail = media.Failed, "not stored: the import ended before"
		}
		im.summary.Add(*it)
	}
}

// tell prints every item, records the import on the ledger, and writes the page.
func (im *importing) tell(ctx context.Context) error {
	im.bar.clear()
	for _, it := range im.items {
		im.print(it)
	}
	if !im.command.JSON {
		im.printSummary()
	}
	err := im.control.ask(ctx, http.MethodPost, "import", im.summary, &im.summary)
	if err != nil {
		err = fmt.Errorf("this import is not on the ledger: %w", err)
	}
	if im.command.Report == "" {
		return err
	}
	return errors.Join(err, im.page())
}

func (im *importing) page() error {
	page := media.Page{
		Site: im.site, Medium: im.command.Path, Time: time.Now(),
		Summary: im.summary, Directory: im.medium.Directory(), Items: im.items,
	}
	return createNew(im.command.Report, page.Write)
}

// importLine is the line that --json prints for an item.
type importLine struct {
	inspection
	Kind    media.Kind    `json:"kind,omitempty"`
	Outcome media.Outcome `json:"outcome"`
	Listed  bool          `json:"in_dicomdir"`
	ID      string        `json:"id,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

func (im *importing) print(it media.Item) {
	if im.command.JSON {
		line := inspectLine(inspected{path: it.Path, report: it.Report})
		json.NewEncoder(im.std.out).Encode(importLine{line, it.Kind, it.Outcome, it.Listed, it.ID, it.Says()})
		return
	}
	fmt.Fprintf(im.std.out, "%-10s  %s\n", it.Outcome, printable(it.Path))
	if says := it.Says(); says != "" {
		fmt.Fprintf(im.std.out, "            %s\n", printable(says))
	}
	if it.ID != "" {
		fmt.Fprintf(im.std.out, "            in the vault as %s\n", it.ID)
	}
	printFindings(im.std.out, "            ", worthShowing(it.Report.Findings))
}

func (im *importing) printSummary() {
	s, out := im.summary, im.std.out
	for _, line := range im.medium.Directory().Says() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%s, %s: %d stored for %s, %d held, %d left on the medium, %d not stored, %d could not be read\n",
		count(s.Files, "file"), size(s.Bytes), s.Stored, s.Archive, s.Held, s.Listed, s.Failed, s.Unreadable)
}

// exit is 2 if something could not be read, 1 if something was not admitted or stored.
func (im *importing) exit() error {
	code := 0
	for _, it := range im.items {
		switch {
		case it.Outcome == media.Unreadable:
			return failure{2, nil}
		case it.Report.Verdict != finding.Admit, it.Outcome == media.Failed, it.Outcome == media.Held:
			code = 1
		}
	}
	if code == 0 {
		return nil
	}
	return failure{code, nil}
}
