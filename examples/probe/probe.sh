#!/usr/bin/env bash
# Makes what `reconciler probe` needs on an account of your own, runs it, and takes it all away:
#
#   ./probe.sh make      one instance of the cheapest type, two roles, one instance profile
#   ./probe.sh run       reconciler probe on them; further flags are passed on
#   ./probe.sh destroy   everything that make has made
#
# Needs the AWS CLI version 2, and a region with a default VPC (AWS_REGION). All names begin with
# "probe-of-reconciler", and all has the tag reconciler:probe=yes.
set -euo pipefail

: "${AWS_REGION:?set AWS_REGION to a region with a default VPC}"
export AWS_PAGER=""

NAME="probe-of-reconciler"
ROLES=("$NAME-a" "$NAME-b")
PROFILE="$NAME-first"
TEMPORARY="/reconciler-probe/"
TYPE="${INSTANCE_TYPE:-t4g.nano}"
IMAGE="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
TAG="Key=reconciler:probe,Value=yes"

say() { printf '%s\n' "$*" >&2; }

partition() {
  aws sts get-caller-identity --query Arn --output text | cut -d: -f2
}

ssm_policy() {
  printf 'arn:%s:iam::aws:policy/AmazonSSMManagedInstanceCore' "$(partition)"
}

# Ids of the instances that were made here and are not gone.
instances() {
  aws ec2 describe-instances --region "$AWS_REGION" --output text \
    --query 'Reservations[].Instances[].InstanceId' --filters \
    "Name=tag:Name,Values=$NAME" "Name=tag:reconciler:probe,Values=yes" \
    "Name=instance-state-name,Values=pending,running,stopping,stopped"
}

make_role() {
  local trust='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
  say "role $1"
  aws iam create-role --role-name "$1" --assume-role-policy-document "$trust" --tags "$TAG" \
    --description "May be deleted: for reconciler probe" >/dev/null
  # So that the instance can be asked which role it is served. It allows nothing else.
  aws iam attach-role-policy --role-name "$1" --policy-arn "$(ssm_policy)"
}

launch() {
  aws ec2 run-instances --region "$AWS_REGION" --instance-type "$TYPE" \
    --image-id "resolve:ssm:$IMAGE" --count 1 --iam-instance-profile "Name=$PROFILE" \
    --metadata-options HttpTokens=required --query 'Instances[0].InstanceId' --output text \
    --tag-specifications \
    "ResourceType=instance,Tags=[{Key=Name,Value=$NAME},{Key=reconciler:probe,Value=yes}]"
}

make() {
  local role instance=""
  if [[ -n "$(instances)" ]]; then
    say "there is an instance already: $(instances)"
    return 1
  fi
  for role in "${ROLES[@]}"; do make_role "$role"; done
  say "instance profile $PROFILE"
  aws iam create-instance-profile --instance-profile-name "$PROFILE" --tags "$TAG" >/dev/null
  aws iam add-role-to-instance-profile --instance-profile-name "$PROFILE" --role-name "${ROLES[0]}"
  # EC2 sees a young profile after some seconds.
  for _ in {1..24}; do
    if instance="$(launch)"; then break; fi
    sleep 5
  done
  [[ -n "$instance" ]]
  say "instance $instance"
  aws ec2 wait instance-running --region "$AWS_REGION" --instance-ids "$instance"
  # Its agent of Systems Manager needs a minute to announce itself.
  sleep 60
  say "ready: ./probe.sh run"
}

run() {
  local instance
  instance="$(instances)"
  [[ -n "$instance" ]] || { say "there is no instance: ./probe.sh make"; return 1; }
  reconciler probe --i-own-this-account --region "$AWS_REGION" --instance "$instance" \
    --role "${ROLES[0]}" --role "${ROLES[1]}" "$@"
}

# What is gone already is no error.
try() {
  local said
  if ! said="$("$@" 2>&1 >/dev/null)"; then
    [[ "$said" == *NoSuchEntity* ]] || { say "$said"; FAILED=1; }
  fi
}

delete_profile() {
  local role
  for role in $(aws iam get-instance-profile --instance-profile-name "$1" --output text \
    --query 'InstanceProfile.Roles[].RoleName' 2>/dev/null); do
    try aws iam remove-role-from-instance-profile --instance-profile-name "$1" --role-name "$role"
  done
  try aws iam delete-instance-profile --instance-profile-name "$1"
}

destroy() {
  local listed found name names role policy
  FAILED=0
  policy="$(ssm_policy)"
  listed="$(instances)"
  read -r -a found <<<"${listed//$'\n'/ }"
  if ((${#found[@]})); then
    say "terminating ${found[*]}"
    aws ec2 terminate-instances --region "$AWS_REGION" --instance-ids "${found[@]}" >/dev/null
    aws ec2 wait instance-terminated --region "$AWS_REGION" --instance-ids "${found[@]}"
  fi
  # Profiles that a probe made and could not delete are below this path.
  names="$(aws iam list-instance-profiles --path-prefix "$TEMPORARY" --output text \
    --query 'InstanceProfiles[].InstanceProfileName')"
  for name in $names "$PROFILE"; do
    delete_profile "$name"
  done
  for role in "${ROLES[@]}"; do
    try aws iam detach-role-policy --role-name "$role" --policy-arn "$policy"
    try aws iam delete-role --role-name "$role"
  done
  ((FAILED == 0)) || { say "not everything is gone; run it again"; return 1; }
  say "all of it is gone"
}

command="${1:-}"
case "$command" in
make | destroy) "$command" ;;
run) shift && run "$@" ;;
*)
  say "usage: probe.sh make | run [FLAGS] | destroy"
  exit 64
  ;;
esac
