# Makes what `reconciler probe` needs on an account of your own: one instance of the cheapest type,
# two roles and one instance profile. Needs a default VPC in the region.
#
#   terraform init && terraform apply
#   $(terraform output -raw command)
#   terraform destroy

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "region" {
  type        = string
  description = "A region with a default VPC."
}

variable "instance_type" {
  type        = string
  default     = "t4g.nano"
  description = "Of the ARM architecture."
}

provider "aws" {
  region = var.region

  # `reconciler probe` refuses what does not have this tag.
  default_tags {
    tags = {
      "reconciler:probe" = "yes"
    }
  }
}

locals {
  name = "probe-of-reconciler"
}

data "aws_partition" "here" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

resource "aws_iam_role" "probed" {
  for_each    = toset(["a", "b"])
  name        = "${local.name}-${each.key}"
  description = "May be deleted: for reconciler probe"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# So that the instance can be asked which role it is served. It allows nothing else.
resource "aws_iam_role_policy_attachment" "ssm" {
  for_each   = aws_iam_role.probed
  role       = each.value.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "first" {
  name = "${local.name}-first"
  role = aws_iam_role.probed["a"].name
}

resource "aws_instance" "probed" {
  ami                  = data.aws_ssm_parameter.image.insecure_value
  instance_type        = var.instance_type
  iam_instance_profile = aws_iam_instance_profile.first.name

  metadata_options {
    http_tokens = "required"
  }

  tags = {
    Name = local.name
  }

  # A probe notes there what the instance gets back.
  lifecycle {
    ignore_changes = [tags["reconciler:probe-original"], ami]
  }
}

output "command" {
  value = join(" ", [
    "reconciler probe --i-own-this-account --region ${var.region}",
    "--instance ${aws_instance.probed.id}",
    "--role ${aws_iam_role.probed["a"].name} --role ${aws_iam_role.probed["b"].name}",
  ])
}
