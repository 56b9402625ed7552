package main

import (
	"cordon/console/alarms"
	"cordon/console/device"
	"cordon/console/incidents"
	pagenetwork "cordon/console/network"
	"cordon/console/route"
	pagewatch "cordon/console/watch"
	"cordon/notice"
)

// features are the routes of the console's packages.
func (p *parts) features(c Config) (all []route.Route) {
	all = append(all, p.view.Routes()...)
	all = append(all, incidents.Routes(incidents.Parts{Incidents: p.incidents, View: p.view})...)
	all = append(all, p.heldRoutes()...)
	all = append(all, alarms.Routes(alarms.Parts{Alarms: p.alarms, Notices: func() *notice.Notices { return p.notices }, View: p.view})...)
	all = append(all, p.studyRoutes(c)...)
	all = append(all, p.deviceRoutes()...)
	all = append(all, p.settingRoutes(c)...)
	all = append(all, pagenetwork.Routes(pagenetwork.Parts{Tickets: p.tickets, Plan: p.plan, Transparent: p.transparent, View: p.view, Watch: p.watched, Sensors: func() []pagewatch.Sensor { return p.watch.sensors() }})...)
	all = append(all, p.recordRoutes(c)...)
	all = append(all, p.reportRoutes(c)...)
	all = append(all, p.peopleRoutes(c)...)
	all = append(all, p.networkRoutes()...)
	all = append(all, p.containmentRoutes(c)...)
	return device.Spelled(p.devices, all)
}
