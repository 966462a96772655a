# SPDX-License-Identifier: MIT
"""The stack alone: a network namespace on tenbox-net and, in the same run, on slirp4netns and pasta where they are installed.  All
traffic is between the namespace and 127.0.0.1.  Each figure is the median of a few runs that take turns."""
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time

SECONDS = float(os.environ.get("STACK_SECONDS", "3"))
LOAD_SECONDS = 2
ROUNDS = int(os.environ.get("STACK_ROUNDS", "3"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nothing:
    """No network in between: what the two ends of a load take by themselves."""
    host = "127.0.0.1"
    process = None

    def run(self, args, timeout=60):
        return subprocess.run(args, capture_output=True, timeout=timeout)


class Network:
    """A namespace and the process that is its network."""
    host = "10.0.2.2"

    def __init__(self, command, mtu):
        self.holder = subprocess.Popen(["unshare", "-rn", "sleep", "600"])
        self.process = None
        self.wait_for_namespace()
        self.log = open(os.devnull, "w")
        self.process = subprocess.Popen([a.format(pid=self.holder.pid, mtu=mtu) for a in command], stdout=self.log, stderr=self.log)
        deadline = time.time() + 10
        while subprocess.run(self.inside(["ip", "route", "show", "default"]), capture_output=True).stdout == b"":
            if self.process.poll() is not None or time.time() > deadline:
                self.__exit__()
                raise OSError("%s does not come up" % command[0])
            time.sleep(0.05)

    def wait_for_namespace(self):
        own = os.readlink("/proc/self/ns/net")
        for _ in range(200):
            try:
                if os.readlink("/proc/%d/ns/net" % self.holder.pid) != own and self.run(["true"]).returncode == 0:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise OSError("unshare -rn makes no namespace")

    def inside(self, args):
        return ["nsenter", "-t", str(self.holder.pid), "-U", "-n", "--preserve-credentials"] + args

    def run(self, args, timeout=60):
        return subprocess.run(self.inside(args), capture_output=True, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p in (self.process, self.holder):
            if p and p.poll() is None:
                p.send_signal(signal.SIGTERM)
                try:
                    p.wait(timeout=3)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()


def iperf(network, reverse=False, seconds=SECONDS):
    """Gbit/s that arrived."""
    port = free_port()
    server = subprocess.Popen(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.2)
        done = network.run(["iperf3", "-J", "-c", network.host, "-p", str(port), "-t", str(seconds)] + (["-R"] if reverse else []),
                           timeout=seconds + 20)
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
    except (KeyError, ValueError, subprocess.TimeoutExpired):
        return None
    finally:
        server.terminate()
        server.wait()


class Load:
    """net_load's echo server, and its clients inside."""

    def __init__(self, build):
        self.program = os.path.join(build, "tests/bench/net_load")
        self.port = 20000 + os.getpid() % 300 * 32      # and the next 31, below those that the kernel hands out
        self.server = subprocess.Popen(["sh", "-c", "ulimit -n $(ulimit -Hn); exec %s echo %d" % (self.program, self.port)])
        time.sleep(0.2)

    def client(self, network, mode, *args):
        done = network.run([self.program, mode, network.host, str(self.port)] + [str(a) for a in args])
        m = re.match(rb"[\d.]+", done.stdout)
        return float(m.group()) if m else None

    def rate(self, network, parallel):
        """Connections a second, and the processor time of the network's process for each."""
        before = busy(network)
        rate = self.client(network, "conn", LOAD_SECONDS, parallel)
        return (rate, (busy(network) - before) / LOAD_SECONDS / rate * 1e6) if rate else None

    def round_trip(self, network, rounds=3000):
        """Its median in us, and the processor time of the network's process for each."""
        before = busy(network)
        median_us = self.client(network, "rtt", rounds)
        return (median_us, (busy(network) - before) / rounds * 1e6) if median_us else None

    def hold(self, network, count):
        p = subprocess.Popen(network.inside([self.program, "idle", network.host, str(self.port), str(count)]), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        return p, int(p.stdout.readline())

    def close(self):
        self.server.terminate()
        self.server.wait()


def peers(ours):
    commands = {"tenbox-net": [ours, "--configure", "--net", "mtu={mtu},max-flows=16384", "{pid}"]}
    if shutil.which("slirp4netns"):
        commands["slirp4netns"] = ["slirp4netns", "--configure", "--mtu={mtu}", "{pid}", "tap0"]
    if shutil.which("pasta"):
        # as root it would become nobody, who may not enter the namespace; and it is to forward nothing
        commands["pasta"] = (["pasta", "-f", "--config-net", "-m", "{mtu}", "-a", "10.0.2.15", "-n", "24", "-g", "10.0.2.2", "-4"] +
                             [w for o in "tuTU" for w in ("-" + o, "none")] + (["--runas", "0:0"] if os.geteuid() == 0 else []) +
                             ["{pid}"])
    return commands


def median(values):
    values = [v for v in values if v]
    return statistics.median(values) if values else None


def take_turns(networks, function):
    """name -> what function(network) returned each time, the networks taking turns."""
    got = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            got[name].append(function(network))
    return got


def turns(networks, function):
    return {name: median(v) for name, v in take_turns(networks, function).items()}


def turns_of_two(networks, function):
    """The same for a function that returns two figures."""
    got = take_turns(networks, function)
    return [{name: median(x[i] for x in v if x) for name, v in got.items()} for i in range(2)]


def tell(report, name, unit, values, more_is_better=True):
    for peer in [n for n in values if n != "tenbox-net"] or [None]:
        report(name + ("" if peer is None else " (%s)" % peer), unit, values["tenbox-net"], values.get(peer), more_is_better)


def compare(report, ours, load, mtu):
    networks = {}
    try:
        for name, command in peers(ours).items():
            try:
                networks[name] = Network(command, mtu)
            except OSError as error:
                print("stack/%d: without %s: %s" % (mtu, name, error))
        tell(report, "stack/%d/out" % mtu, "Gbit/s", turns(networks, iperf))
        tell(report, "stack/%d/in" % mtu, "Gbit/s", turns(networks, lambda n: iperf(n, True)))
        if mtu == 1500:
            for parallel in (16, 128):
                name = "stack/connections/%d-at-once" % parallel
                rates, costs = turns_of_two(dict(networks, none=Nothing()), lambda n: load.rate(n, parallel))
                report(name + "/no network", "1/s", rates.pop("none"), None)
                costs.pop("none")
                tell(report, name, "1/s", rates)
                tell(report, name + "/cpu", "us", costs, more_is_better=False)
            times, costs = turns_of_two(networks, load.round_trip)
            tell(report, "stack/rtt", "us", times, more_is_better=False)
            tell(report, "stack/rtt/cpu", "us", costs, more_is_better=False)
    finally:
        for n in networks.values():
            n.__exit__()


def resident(network):
    """KB of its own, without what libc's file shares with everybody."""
    with open("/proc/%d/status" % network.process.pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))


def busy(network):
    """Seconds of processor time that its process has taken."""
    total = 0
    if network.process:
        for thread in os.listdir("/proc/%d/task" % network.process.pid):
            with open("/proc/%d/task/%s/schedstat" % (network.process.pid, thread)) as f:
                total += int(f.read().split()[0])
    return total / 1e9


def idle_flows(report, ours, load, count=10000):
    """Two networks, one of them with idle flows; a bulk stream on each in turn."""
    command = peers(ours)["tenbox-net"]
    with Network(command, 1500) as alone, Network(command, 1500) as beside:
        before = resident(beside)
        report("stack/memory/idle-stack", "KB", before, None)
        holder, opened = load.hold(beside, count)
        try:
            report("stack/idle-flows/open", "flows", opened, None)
            report("stack/memory/idle-flow", "KB", (resident(beside) - before) / max(opened, 1), None)
            start = busy(beside)
            time.sleep(3)
            report("stack/idle-flows/cpu", "% core", (busy(beside) - start) / 3 * 100, None)
            values = turns({"alone": alone, "beside": beside}, iperf)
            report("stack/idle-flows/out-beside (alone)", "Gbit/s", values["beside"], values["alone"])
        finally:
            holder.stdin.close()
            holder.wait()


def bench(report, build):
    ours = os.path.join(build, "tenbox-net")
    if not shutil.which("iperf3"):
        print("stack: iperf3 is not installed")
        return
    load = Load(build)
    try:
        compare(report, ours, load, 1500)
        compare(report, ours, load, 65520)
        idle_flows(report, ours, load)
    finally:
        load.close()
