package asset_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"cordon/asset"
	"cordon/custody"
)

var byAble = custody.Request{By: "A. Able", Reason: "new in room 3"}

func TestInventoryIsKeptAndOnTheLedger(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	v := asset.Inventory{Vendor: "Acme", Model: "Echo 3", Modality: "US", Criticality: asset.High, OS: "Windows 2000", Software: []string{"Viewer 1.2"}}
	if err := r.SetInventory(t.Context(), "mr-1", v, byAble); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Inventory(t.Context(), "mr-1"); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err := r.Inventories(t.Context()); err != nil || !reflect.DeepEqual(all["mr-1"], v) {
		t.Errorf("%+v, %v", all, err)
	}
	if r.journal.count("device.described") != 1 {
		t.Error(r.journal.kinds)
	}
	if got, err := r.Inventory(t.Context(), "ct-9"); err != nil || !reflect.DeepEqual(got, asset.Inventory{}) {
		t.Errorf("of nobody: %+v, %v", got, err)
	}
}

func TestInventoryThatIsNotAccepted(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	for name, v := range map[string]asset.Inventory{
		"criticality": {Criticality: "very"},
		"control":     {Owner: "Radiology\x1b[2J"},
		"long":        {Model: strings.Repeat("x", 201)},
		"software":    {Software: make([]string, 101)},
		"note":        {Note: strings.Repeat("x", 4001)},
	} {
		if err := r.SetInventory(t.Context(), "mr-1", v, byAble); !errors.Is(err, custody.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.SetInventory(t.Context(), "ct-9", asset.Inventory{}, byAble); !errors.Is(err, asset.ErrNotFound) {
		t.Error(err)
	}
	if err := r.SetInventory(t.Context(), "mr-1", asset.Inventory{}, custody.Request{By: "A. Able"}); !errors.Is(err, custody.ErrRequest) {
		t.Error(err)
	}
	if len(r.journal.kinds) != 0 {
		t.Error(r.journal.kinds)
	}
}

func TestFlowsOfEachSourceStandBesideEachOther(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	dns := asset.Flow{Purpose: "dns", Protocol: "udp", Port: 53, Needed: true, To: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}}
	pacs := asset.Flow{Purpose: "dicom", Protocol: "tcp", Port: 104}
	for _, set := range []struct {
		source asset.Source
		flows  []asset.Flow
	}{{asset.FromMUD, []asset.Flow{pacs, pacs}}, {asset.FromPeople, []asset.Flow{dns}}, {asset.FromMUD, []asset.Flow{pacs}}} {
		if err := r.SetFlows(t.Context(), "mr-1", set.source, set.flows, byAble); err != nil {
			t.Fatal(err)
		}
	}
	pacs.Source, dns.Source = asset.FromMUD, asset.FromPeople
	if got, err := r.Flows(t.Context(), "mr-1"); err != nil || !reflect.DeepEqual(got, []asset.Flow{pacs, dns}) {
		t.Errorf("%+v, %v", got, err)
	}
	if r.journal.count("device.flows") != 3 {
		t.Error(r.journal.kinds)
	}
}

func TestFlowsThatAreNotAccepted(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	for name, f := range map[string]asset.Flow{
		"purpose":  {Purpose: "games", Protocol: "tcp"},
		"protocol": {Purpose: "dns", Protocol: "sctp"},
		"icmp":     {Purpose: "other", Protocol: "icmp", Port: 7},
		"range":    {Purpose: "dicom", Protocol: "tcp", Port: 104, PortTo: 100},
		"address":  {Purpose: "dicom", Protocol: "tcp", To: []netip.Prefix{{}}},
	} {
		if err := r.SetFlows(t.Context(), "mr-1", asset.FromPeople, []asset.Flow{f}, byAble); !errors.Is(err, custody.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.SetFlows(t.Context(), "mr-1", "rumour", nil, byAble); !errors.Is(err, custody.ErrRequest) {
		t.Error(err)
	}
}

func TestManyAreDescribedOrNone(t *testing.T) {
	r := open(t, t.TempDir(), twoArchives)
	one := asset.Described{Name: "mr-1", Inventory: asset.Inventory{Vendor: "Acme"}}
	for name, second := range map[string]asset.Described{"unknown": {Name: "ct-9"}, "wrong": {Name: "mr-1", Inventory: asset.Inventory{Criticality: "very"}}} {
		if err := r.SetInventories(t.Context(), []asset.Described{one, second}, byAble); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got, err := r.Inventory(t.Context(), "mr-1"); err != nil || got.Vendor != "" {
		t.Errorf("%+v, %v", got, err)
	}
	told := r.journal.count("device.described")
	if err := r.SetInventories(t.Context(), []asset.Described{one}, byAble); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Inventory(t.Context(), "mr-1"); err != nil || got.Vendor != "Acme" || r.journal.count("device.described") != told+1 {
		t.Errorf("%+v, %v", got, err)
	}
}
