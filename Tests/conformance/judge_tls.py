"""Judges what a TLS scanner has found: judge_tls.py sslyze|sslscan|testssl FILE

Prints one line for each fact; ends with 1 when one is not as it has to be.
"""

import json
import sys
import xml.etree.ElementTree

failures = 0


def fact(what, is_good, detail=""):
    global failures
    if not is_good:
        failures += 1
    mark = "ok    " if is_good else "FAILED"
    print("  %s  %s%s" % (mark, what, ": %s" % detail if detail else ""))


def is_strong(suite):
    forward = suite.startswith(("TLS_ECDHE_", "ECDHE-", "TLS_AES_", "TLS_CHACHA20_"))
    sealed = "GCM" in suite or "CHACHA20" in suite
    return forward and sealed and "CBC" not in suite


def judge_sslyze(path):
    with open(path) as file:
        scan = json.load(file)["server_scan_results"][0]["scan_result"]

    def result(name):
        return scan[name]["result"]

    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        fact("%s refused" % version, not result(version + "_cipher_suites")["accepted_cipher_suites"])
    for version in ("tls_1_2", "tls_1_3"):
        suites = result(version + "_cipher_suites")["accepted_cipher_suites"]
        names = [suite["cipher_suite"]["name"] for suite in suites]
        fact(version, names and all(map(is_strong, names)), ", ".join(names))
    curves = [curve["name"] for curve in result("elliptic_curves")["supported_curves"]]
    fact("curves", set(curves) <= {"X25519", "secp256r1", "prime256v1", "secp384r1"}, ", ".join(curves))
    fact("no compression", not result("tls_compression")["supports_compression"])
    fact("no early data", not result("tls_1_3_early_data")["supports_early_data"])
    fact("no CCS injection", not result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"])
    fact("fallback SCSV", result("tls_fallback_scsv")["supports_fallback_scsv"])
    fact("no Heartbleed", not result("heartbleed")["is_vulnerable_to_heartbleed"])
    robot = result("robot")["robot_result"]
    fact("no ROBOT", robot.startswith("NOT_VULNERABLE"), robot)
    renegotiation = result("session_renegotiation")
    fact(
        "no renegotiation by the client",
        not renegotiation["is_vulnerable_to_client_renegotiation_dos"]
        and renegotiation.get("client_renegotiations_success_count", 0) == 0,
    )
    fact("secure renegotiation is signalled", renegotiation["supports_secure_renegotiation"])
    resumption = result("session_resumption")
    fact("tickets resume", resumption["tls_ticket_resumption_result"] == "FULLY_SUPPORTED")
    fact("extended master secret", result("tls_extended_master_secret")["supports_ems_extension"])
    deployments = result("certificate_info")["certificate_deployments"]
    trusted = all(
        any(path["was_validation_successful"] for path in one["path_validation_results"])
        for one in deployments
    )
    fact("certificate chain verifies", trusted)


def judge_sslscan(path):
    test = xml.etree.ElementTree.parse(path).getroot().find("ssltest")
    enabled = [
        "%sv%s" % (one.get("type"), one.get("version"))
        for one in test.findall("protocol")
        if one.get("enabled") == "1"
    ]
    fact("protocols", sorted(enabled) == ["tlsv1.2", "tlsv1.3"], ", ".join(enabled))
    ciphers = [one.get("cipher") for one in test.findall("cipher")]
    fact("suites", ciphers and all(map(is_strong, ciphers)), ", ".join(ciphers))
    groups = [one.get("name") for one in test.findall("group")]
    fact("groups", bool(groups), ", ".join(groups))
    # The scanner leaves it out where its own OpenSSL has no compression.
    compression = test.find("compression")
    fact("no compression", compression is None or compression.get("supported") == "0")


def judge_testssl(path):
    with open(path) as file:
        findings = json.load(file)
    counts = {}
    for one in findings:
        counts[one["severity"]] = counts.get(one["severity"], 0) + 1
        if one["severity"] not in ("MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL"):
            continue
        about_certificate = one["id"].startswith("cert_") or one["id"] in (
            "DNS_CAArecord", "OCSP_stapling", "cert")
        text = "%s %s" % (one["severity"], one["finding"])
        if about_certificate or one["severity"] == "WARN":
            print("  noted   %s: %s" % (one["id"], text))
        else:
            fact(one["id"], False, text)
    total = ", ".join("%d %s" % (counts[key], key) for key in sorted(counts))
    fact("findings", len(findings) > 40, total)


{"sslyze": judge_sslyze, "sslscan": judge_sslscan, "testssl": judge_testssl}[sys.argv[1]](sys.argv[2])
sys.exit(1 if failures else 0)
