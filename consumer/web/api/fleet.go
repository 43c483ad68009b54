package api

import (
	"net/http"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/consumer/web/site"
)

// listProcesses answers GET /api/v1/processes.
func (a *API) listProcesses(r *http.Request) (any, error) {
	q, err := fleetQuery(r)
	if err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}
	found, err := s.Processes(q)
	if err != nil {
		return nil, badRequest(err)
	}

	answer := struct {
		Processes []process `json:"processes"`
		page
	}{Processes: []process{}, page: pageOf(s, found.Total, found.Of, found.Next, "processes")}
	for _, p := range found.Items {
		answer.Processes = append(answer.Processes, processOf(p))
	}
	return answer, nil
}

// getProcess answers GET /api/v1/processes/{host}/{group}/{process}.
func (a *API) getProcess(r *http.Request) (any, error) {
	if err := paramsOf(r).check(); err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}
	if h := s.Host(r.PathValue("host")); h != nil {
		if p := h.Process(r.PathValue("group"), r.PathValue("process")); p != nil {
			return struct {
				process
				Status Status `json:"status"`
			}{processOf(p), statusOf(s)}, nil
		}
	}
	return nil, site.NewProblem(http.StatusNotFound,
		"no such process is recorded: "+a.Site.Path(Prefix+"processes")+" lists those that are")
}

// process is the record of a process with what has become of it.
type process struct {
	inspect.Process
	// How is one word for it: running, down, stopped, exited, unknown or gone.
	How string `json:"how"`
}

func processOf(p *fleet.Process) process { return process{p.Process, p.Status()} }

// listHosts answers GET /api/v1/hosts.
func (a *API) listHosts(r *http.Request) (any, error) {
	q, err := fleetQuery(r)
	if err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}
	found, err := s.ListHosts(q)
	if err != nil {
		return nil, badRequest(err)
	}

	answer := struct {
		Hosts []host `json:"hosts"`
		page
	}{Hosts: []host{}, page: pageOf(s, found.Total, found.Of, found.Next, "hosts")}
	for _, h := range found.Items {
		answer.Hosts = append(answer.Hosts, hostOf(h))
	}
	return answer, nil
}

// getHost answers GET /api/v1/hosts/{host}.
func (a *API) getHost(r *http.Request) (any, error) {
	if err := paramsOf(r).check(); err != nil {
		return nil, err
	}
	s, err := a.snapshot()
	if err != nil {
		return nil, err
	}
	h := s.Host(r.PathValue("host"))
	if h == nil {
		return nil, site.NewProblem(http.StatusNotFound,
			"no such host is recorded: "+a.Site.Path(Prefix+"hosts")+" lists those that are")
	}
	return struct {
		host
		Status Status `json:"status"`
	}{hostOf(h), statusOf(s)}, nil
}

// host is the record of a host with what has become of it.
type host struct {
	inspect.Host
	Level     string   `json:"level"`
	Processes int      `json:"processes"`
	Fatal     int      `json:"fatal"`
	Unknown   int      `json:"unknown"`
	Alerts    []string `json:"alerts"`
}

func hostOf(h *fleet.Host) host {
	list := host{
		Host: h.Host, Level: h.Level.String(), Processes: len(h.Processes), Fatal: h.Fatal, Unknown: h.Unknown,
		Alerts: []string{},
	}
	for _, a := range h.Open {
		list.Alerts = append(list.Alerts, a.Incident)
	}
	return list
}

// pageOf is what is around the items of a list.
func pageOf(s *fleet.Snapshot, total, of int, next, what string) page {
	p := page{Total: total, Of: of, Next: next, Status: statusOf(s)}
	if total == 0 {
		p.Hint = nothing(what, of)
	}
	return p
}

// totals are the numbers over the whole fleet.
type totals struct {
	Hosts       int    `json:"hosts"`
	SilentHosts int    `json:"silent_hosts"`
	Running     int    `json:"running"`
	Down        int    `json:"down"`
	Stopped     int    `json:"stopped"`
	Exited      int    `json:"exited"`
	Fatal       int    `json:"fatal"`
	Unknown     int    `json:"unknown"`
	OpenAlerts  int    `json:"open_alerts"`
	LostEvents  uint64 `json:"lost_events"`
	LossHosts   int    `json:"hosts_with_recent_losses"`
}

// getStatus answers GET /api/v1/status.
func (a *API) getStatus(r *http.Request) (any, error) {
	if err := paramsOf(r).check(); err != nil {
		return nil, err
	}
	s := a.Fleet.Snapshot()
	t := s.Totals
	return struct {
		Status
		Totals totals `json:"totals"`
	}{statusOf(s), totals{
		Hosts: t.Hosts, SilentHosts: t.SilentHosts, Running: t.Running, Down: t.Down, Stopped: t.Stopped,
		Exited: t.Exited, Fatal: t.Fatal, Unknown: t.Unknown, OpenAlerts: t.Open, LostEvents: t.Lost,
		LossHosts: t.LossHosts,
	}}, nil
}
