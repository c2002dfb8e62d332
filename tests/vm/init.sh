#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs as /init in the virtual machine of run.py: busybox, the gateway, curl and openssl on Debian's stock kernel.
# Each case ends as a line `CASE ok NAME`, `CASE failed NAME: why` or `CASE skipped NAME: why` on the console.
# shellcheck disable=SC3040,SC3043,SC2317,SC2329,SC2086,SC2120,SC2119 # busybox' shell; cases are called by name
export PATH=/bin:/sbin:/usr/bin OPENSSL_CONF=/dev/null CURL_HOME=/nowhere
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
ifconfig lo 127.0.0.1 up
echo "127.0.0.1 localhost a.test b.test" >/etc/hosts
echo "root:x:0:0:root:/:/bin/sh" >/etc/passwd
# shellcheck disable=SC1091 # written by run.py
. /settings # MEGABYTES, REKEYS, ONLY
BYTES=$((MEGABYTES * 1024 * 1024))

# --- words --------------------------------------------------------------------------------------------------

# until COMMAND...: within a minute it succeeds.
until_true() {
    local tries=600
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "not within a minute: $*"; return 1; }
        usleep 100000
    done
}

# count: the counters of the kernel's record layer and of the gateway that serves at 8443, as variables of their own
# names (without _total); those that are not there are 0. One program for all of them: starting one takes a while here.
count() {
    local name value
    TlsTxSw=0 TlsRxSw=0 TlsCurrTxSw=0 sluice_tls_kernel=0 sluice_tls_user=0 sluice_tls_kernel_refused=0
    sluice_connections_active=0
    wget -q -O /tmp/counters http://127.0.0.1:8100/metrics || return 1
    cat /tmp/counters /proc/net/tls_stat 2>/dev/null >/tmp/count
    while read -r name value; do
        case $name in
        TlsTxSw | TlsRxSw | TlsCurrTxSw) eval "$name=$value" ;;
        sluice_tls_kernel_total | sluice_tls_user_total | sluice_tls_kernel_refused_total)
            eval "${name%_total}=$value" ;;
        sluice_connections_active) eval "$name=$value" ;;
        esac
    done </tmp/count
}

# same WHAT GOT WANTED
same() { [ "$2" = "$3" ] || { echo "$1 is $2, not $3"; return 1; }; }
none_open() { ! grep -E "TlsCurr(Tx|Rx)Sw" /proc/net/tls_stat | grep -vqE "[[:space:]]0$"; }
nobody() { count && [ "$sluice_connections_active" = 0 ]; }
has_reloaded() { grep -q "reload done" /tmp/front.log; }

end_all() {
    echo "CASE failed $*"
    poweroff -f
}

# start NAME [SETTING...]: a gateway with the configuration /NAME.yml; settings are KEY=VALUE.
start() {
    local name=$1 setting count=$(($# - 1))
    shift
    while [ $count -gt 0 ]; do
        setting=$1 count=$((count - 1))
        shift
        set -- "$@" --set "$setting"
    done
    rm -f "/tmp/$name.pid"
    /sluice run -c "/$name.yml" --set "pid_file=/tmp/$name.pid" --set shards=1 --set admin_listen=off "$@" \
        >"/tmp/$name.log" 2>&1 &
    until_true grep -q ^ready "/tmp/$name.log" || end_all "$name does not start: $(tr '\n' ' ' <"/tmp/$name.log")"
}
# stop NAME: it ends by itself and well.
stop() {
    local pid
    pid=$(cat "/tmp/$1.pid")
    kill -TERM "$pid"
    until_true test ! -d "/proc/$pid" || return 1
    ! grep -E "^bug:|ERROR:|runtime error" "/tmp/$1.log"
}
start_front() {
    start front proxy_listen=127.0.0.1:8443\ ssl,127.0.0.1:8080 status_listen=127.0.0.1:8100 ssl_cert=/server.pem \
        ssl_cert_key=/server.key upstream_tls_trusted=/ca.pem lua_ssl_trusted_certificate=/ca.pem "$@"
}
# Behind it, as an origin that speaks TLS.
start_back() {
    start back proxy_listen=127.0.0.1:9443\ ssl status_listen=127.0.0.1:9100 ssl_cert=/server.pem \
        ssl_cert_key=/server.key upstream_tls_trusted=/ca.pem lua_ssl_trusted_certificate=/ca.pem "$@"
}

get() { curl -sS --cacert /ca.pem --max-time 120 "$@"; }
peer() { timeout 120 /peer "$@"; }

passed=0 failed=0
# case_of NAME COMMAND...: its output is shown only when it fails.
case_of() {
    local name=$1 status=0
    shift
    case "$name" in *"$ONLY"* | *"ends well"*) ;; *) return ;; esac
    (
        set -e
        "$@"
    ) >/tmp/case.out 2>&1
    status=$?
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        echo "CASE ok $name"
    else
        failed=$((failed + 1))
        echo "CASE failed $name: $(tr '\n' ' ' </tmp/case.out | tail -c 600)"
        tail -n 2 /tmp/front.log | sed 's/^/LOG /'
        [ ! -e /tmp/back.log ] || tail -n 2 /tmp/back.log | sed 's/^/LOG back: /'
    fi
}

# through_kernel COUNT COMMAND...: while it runs, so many connections more are protected by the kernel both ways,
# as the kernel and the gateway count, and none in user space.
through_kernel() {
    local wanted=$1 tx rx ours user
    shift
    count && tx=$TlsTxSw rx=$TlsRxSw ours=$sluice_tls_kernel user=$sluice_tls_user || return 1
    "$@" || return 1
    count || return 1
    same TlsTxSw "$TlsTxSw" $((tx + wanted)) || return 1
    same TlsRxSw "$TlsRxSw" $((rx + wanted)) || return 1
    same tls_kernel "$sluice_tls_kernel" $((ours + wanted)) || return 1
    same tls_user "$sluice_tls_user" "$user" || return 1
    same tls_kernel_refused "$sluice_tls_kernel_refused" 0
}
through_user() {
    local tx ours user
    count && tx=$TlsTxSw ours=$sluice_tls_kernel user=$sluice_tls_user || return 1
    "$@" || return 1
    count || return 1
    same TlsTxSw "$TlsTxSw" "$tx" || return 1
    same tls_kernel "$sluice_tls_kernel" "$ours" || return 1
    same tls_user "$sluice_tls_user" $((user + 1))
}

# --- cases --------------------------------------------------------------------------------------------------

small() { same "the answer" "$(get "$@" https://a.test:8443/small)" small; }
down() {
    rm -f /tmp/got
    get "$@" -o /tmp/got https://a.test:8443/big || return 1
    cmp /tmp/got /www/big
}
up() { same "what was sent" "$(get "$@" -H Expect: -X POST -T /www/big https://a.test:8443/sum)" same; }
TLS12="--tls-max 1.2" TLS13="--tlsv1.3"

serves_without_module() {
    /sluice version | grep -q "kernel_tls  *no" || { /sluice version; return 1; }
    grep -q "in user space: the kernel offers no kTLS" /tmp/front.log || { cat /tmp/front.log; return 1; }
    through_user small
    through_user down
}

is_told() {
    /sluice version | grep "kernel_tls  *yes" | grep AES-128 | grep AES-256 | grep ChaCha20 || return 1
    grep "by the kernel: AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305" /tmp/front.log
}

suite() {
    local version=$1 name=$2
    if [ "$version" = 1.2 ]; then through_kernel 1 small --tls-max 1.2 --ciphers "$name"
    else through_kernel 1 small --tlsv1.3 --tls13-ciphers "$name"; fi
}

# One connection for all of them.
keeps_alive() { same "the sum" "$(get $1 "https://a.test:8443/small?[1-100]" | md5sum)" "$MANY_SUM"; }

is_turned_off() {
    grep -q "in user space: ktls is off" /tmp/front.log || { cat /tmp/front.log; return 1; }
    through_user small
}

ends_all() { until_true none_open; }

answered_twice() { [ "$(grep -c "^HTTP/1.1 200" /tmp/out)" = 2 ]; }
s_client_updates() {
    rm -f /tmp/in /tmp/out
    mkfifo /tmp/in
    openssl s_client -connect 127.0.0.1:8443 -servername a.test -tls1_3 -CAfile /ca.pem </tmp/in >/tmp/out 2>&1 &
    exec 3>/tmp/in
    printf 'GET /small HTTP/1.1\r\nHost: a.test\r\n\r\n' >&3
    until_true grep -q ^small /tmp/out || { cat /tmp/out; return 1; }
    printf '%s\n' "$1" >&3
    until_true grep -q KEYUPDATE /tmp/out || { cat /tmp/out; return 1; }
    if [ "$REKEYS" = yes ]; then
        printf 'GET /small?2 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n' >&3
        until_true answered_twice || { cat /tmp/out; return 1; }
    else
        until_true grep -q "alert internal error" /tmp/out || { cat /tmp/out; return 1; }
    fi
    exec 3>&-
    wait $!
    return 0
}

answers_openssl() { same "the answer" "$(get https://a.test:8443/openssl/small)" small; }

# By an origin of OpenSSL's: what it says ends with close_notify.
upstream_openssl() {
    cd /www
    openssl s_server -accept 127.0.0.1:9444 -cert /server.pem -key /server.key -WWW "$@" </dev/zero \
        >/tmp/server.log 2>&1 &
    local server=$!
    until_true grep -q ACCEPT /tmp/server.log || { cat /tmp/server.log; return 1; }
    through_kernel 2 answers_openssl
    kill $server
    wait $server || true
}

# Both ends are the kernel's: front toward curl and toward back, back toward front; those of back are not
# counted by the front.
upstream_ours() {
    local tx ours
    count && tx=$TlsTxSw ours=$sluice_tls_kernel || return 1
    same "the answer" "$(get "https://a.test:8443/back/small")" small || return 1
    rm -f /tmp/got
    get -o /tmp/got https://a.test:8443/back/big || return 1
    cmp /tmp/got /www/big || return 1
    same "what was sent" "$(get -H Expect: -X POST -T /www/big https://a.test:8443/back/sum)" same || return 1
    count || return 1
    same "connections of the front" "$sluice_tls_kernel" $((ours + 4)) || return 1
    same "connections of both" "$TlsTxSw" $((tx + 5))
}

reloads() {
    mkfifo /tmp/hold
    peer 8443 1.3 idle 3 </tmp/hold >/tmp/idle.log 2>&1 &
    exec 4>/tmp/hold
    until_true grep -q ready /tmp/idle.log || { cat /tmp/idle.log; return 1; }
    kill -HUP "$(cat /tmp/front.pid)"
    until_true has_reloaded
    through_kernel 1 small
    same "connections of the kernel" "$TlsCurrTxSw" 3 || return 1
    exec 4>&-
    until_true grep -q good /tmp/idle.log
}

anonymous_kb() { awk '/^RssAnon/ { print $2 }' "/proc/$(cat /tmp/front.pid)/status"; }

# memory WORD: what idle connections cost the gateway. wolfSSL alone would hold 60 KB for each: the limit tells whether
# it was freed. The figure itself has what the allocator keeps and the pages of this kernel's choice in it.
memory() {
    local before after count=200 slab
    rm -f /tmp/hold
    mkfifo /tmp/hold
    peer 8443 1.3 many 20
    peer 8443 1.3 idle 5 </dev/null
    until_true nobody
    before=$(anonymous_kb) slab=$(awk '/^Slab/ { print $2 }' /proc/meminfo)
    peer 8443 1.3 idle $count </tmp/hold >/tmp/idle.log 2>&1 &
    exec 4>/tmp/hold
    until_true grep -q ready /tmp/idle.log || { cat /tmp/idle.log; return 1; }
    after=$(anonymous_kb) slab=$(($(awk '/^Slab/ { print $2 }' /proc/meminfo) - slab))
    echo "NOTE $1: an idle connection costs the gateway $(((after - before) * 1024 / count)) bytes," \
        "both ends in the kernel $((slab * 1024 / count))" >/dev/console
    exec 4>&-
    until_true grep -q good /tmp/idle.log
    [ $((after - before)) -lt $((count * 40)) ]
}

# --- all of it ----------------------------------------------------------------------------------------------

echo "NOTE kernel $(uname -r), $(nproc) processors"
head -c "$BYTES" </dev/zero | openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 >/www/big 2>/dev/null
head -c 3000000 /www/big >/www/middle
printf small >/www/small
MANY_SUM=$(i=0; while [ $i -lt 100 ]; do printf small; i=$((i + 1)); done | md5sum)
httpd -p 127.0.0.1:8000 -h /www
/peer 8001 1.3 serve /www/big &
until_true curl -sf -o /dev/null http://127.0.0.1:8000/small || end_all "no origin"

start_front
case_of "user space serves without the module tls" serves_without_module
case_of "the gateway without the module ends well" stop front

while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
start_front
case_of "version and log say that the kernel protects" is_told
for name in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
    case_of "1.2 $name" suite 1.2 $name
done
for name in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    case_of "1.3 $name" suite 1.3 $name
done
for version in 1.2 1.3; do
    if [ $version = 1.2 ]; then option=$TLS12; else option=$TLS13; fi
    # shellcheck disable=SC2086 # options are words
    case_of "$version $MEGABYTES MB down" through_kernel 1 down $option
    # shellcheck disable=SC2086
    case_of "$version $MEGABYTES MB up" through_kernel 1 up $option
    case_of "$version 100 requests of curl on one connection" through_kernel 1 keeps_alive "$option"
    case_of "$version 300 requests on one connection" through_kernel 1 peer 8443 $version many 300
    case_of "$version client says close_notify first" through_kernel 1 peer 8443 $version ours-first
    case_of "$version gateway says close_notify first" through_kernel 1 peer 8443 $version theirs-first
    case_of "$version client ends without close_notify" through_kernel 1 peer 8443 $version cut
    case_of "$version a spoiled record is answered with an alert" through_kernel 1 peer 8443 $version spoil
    case_of "$version an oversized record is answered with an alert" through_kernel 1 peer 8443 $version overflow
    case_of "$version sessions are resumed" through_kernel 2 peer 8443 $version resume
    case_of "$version a record in part when the kernel takes over" through_kernel 1 peer 8443 $version ahead 20
    case_of "$version a header in part when the kernel takes over" through_kernel 1 peer 8443 $version ahead 3
    case_of "$version a request before the kernel takes over" through_kernel 1 peer 8443 $version ahead 100000
    case_of "$version a slow reader gets everything before the end" through_kernel 1 peer 8443 $version slow 3000000
    case_of "$version nothing is left in the kernel" ends_all
done
follows=0
[ "$REKEYS" = no ] || follows=1
case_of "KeyUpdate" through_kernel 1 peer 8443 1.3 update $follows
case_of "KeyUpdate that wants an answer" through_kernel 1 peer 8443 1.3 update-both $follows
case_of "KeyUpdate of s_client" through_kernel 1 s_client_updates k
case_of "KeyUpdate of s_client that wants an answer" through_kernel 1 s_client_updates K
case_of "upstream of OpenSSL, 1.3" upstream_openssl -tls1_3
case_of "upstream of OpenSSL, 1.2" upstream_openssl -tls1_2
start_back
case_of "upstream of ours" upstream_ours
case_of "the upstream of ours ends well" stop back
case_of "a reload closes nothing" reloads
case_of "memory of idle connections, by the kernel" memory "by the kernel"
case_of "the gateway ends well" stop front
case_of "nothing is left in the kernel in the end" ends_all

start_front ktls=off
case_of "ktls = off" is_turned_off
case_of "memory of idle connections, in user space" memory "in user space"
case_of "the gateway without kTLS ends well" stop front
grep -E "BUG|Oops|WARNING|Call Trace" <<LOG && echo "CASE failed the kernel's log: see above"
$(dmesg)
LOG
echo "DONE $passed passed, $failed failed"
poweroff -f
