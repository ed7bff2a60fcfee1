# Shell functions for trees, which are folders that hold a whole Debian; dev/matrix and the long test of docker/Dockerfile use them. They
# take root. For bash, after dev/cluster.sh.
#
#   tree_make bookworm FOLDER              # debootstrap makes the tree, from the mirror of this machine's apt
#                                          # (TELEMETRY_MIRROR=URL names another)
#   tree_enter FOLDER COMMAND...           # runs the command there as root, with the caller's environment and network

# Prints the mirror from which this machine's apt takes Debian; nothing where apt does not say.
own_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian Debian //p' | head -n 1
}

# tree_make RELEASE FOLDER makes the tree in a folder beside its own, so that a tree in its own folder is always whole. A tree that is
# there stays. FOLDER.log has what debootstrap said.
tree_make() {
    local release=$1 tree=$2 new=$2.new mirror script=$1 options=(--variant=minbase)
    rm -rf --one-file-system "$new" || return 1
    if [ -d "$tree" ]; then return; fi
    mirror=${TELEMETRY_MIRROR:-$(own_mirror)}
    # An older debootstrap does not know newer releases by name, but they are all made like the unstable one.
    [ -e "/usr/share/debootstrap/scripts/$release" ] || script=sid
    case $mirror in https:*) options+=(--include=ca-certificates) ;; esac
    printf 'making the tree of %s%s\n' "$release" "${mirror:+ from $mirror}"
    # An interrupted debootstrap leaves no mount: its mounts are its own.
    unshare --mount debootstrap "${options[@]}" "$release" "$new" "$mirror" "/usr/share/debootstrap/scripts/$script" \
        >"$tree.log" 2>&1 || {
        tail -n 20 "$tree.log"
        return 1
    }
    # No daemon starts in a tree, dpkg does not wait for the disk, and packages are not kept once they are installed. The list of a
    # release in the making is out of date now and then.
    printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
    chmod 755 "$new/usr/sbin/policy-rc.d"
    echo force-unsafe-io >"$new/etc/dpkg/dpkg.cfg.d/telemetry_cqrs"
    {
        echo 'Acquire::Check-Valid-Until "false";'
        echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };'
        apt-config dump | grep -i '^Acquire::.*proxy' || true
    } >"$new/etc/apt/apt.conf.d/telemetry_cqrs"
    mv "$new" "$tree"
}

# tree_names TREE lets the tree find hosts by their names, as this machine does.
tree_names() {
    cp --remove-destination /etc/resolv.conf /etc/hosts "$1/etc/"
}

# tree_enter TREE COMMAND... gives the command processes and mounts of its own, which end with it. With TREE_DATA set, the tree shows
# that folder as /srv/data.
tree_enter() {
    local tree=$1
    shift
    # The first process of the tree waits for its children, those too that lost their parent.
    unshare --mount --pid --fork --kill-child bash -c '
        set -e
        tree=$1 data=$2
        shift 2
        mount -t proc proc "$tree/proc"
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$tree/dev/pts"
        [ -d "$tree/dev/shm" ] || mkdir "$tree/dev/shm"
        mount -t tmpfs -o mode=1777 shm "$tree/dev/shm"
        if [ -n "$data" ]; then
            mkdir -p "$tree/srv/data"
            mount --bind "$data" "$tree/srv/data"
        fi
        status=0
        chroot "$tree" "$@" || status=$?
        exit $status' - "$tree" "${TREE_DATA:-}" "$@"
}
